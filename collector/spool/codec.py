"""Encode a write set as bytes and decode it: typed msgpack, compressed, preceded by a checksum."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import zstandard

from collector.errors import CollectorError
from collector.sinks import Rows, WriteSet

FORMAT: Final = 1  # of the bytes; a file of another format is not read

_CHECKSUM_BYTES = 4
_MOST_BYTES = 1 << 30  # no frame of ours is near it; a damaged size must not ask for more memory


class DamagedError(CollectorError):
    """Bytes that are not what was written."""


class UnfitError(CollectorError):
    """Values that the bytes cannot hold."""


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # an array of numbers
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is no value of a row")


_encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
_decode_head = msgspec.msgpack.Decoder(WriteSet).decode
_decode_rows = msgspec.msgpack.Decoder(tuple[Rows, ...]).decode


def head_of(write_set: WriteSet) -> bytes:
    """Encode everything but the rows: session, segments and accounting."""
    return _sealed(_packed(replace(write_set, rows=())))


def body_of(rows: Sequence[Rows]) -> bytes:
    """Encode the rows, compressed. Raises UnfitError for a value that no row may hold."""
    return _sealed(zstandard.ZstdCompressor(level=1).compress(_packed(rows)))


def read_head(sealed: bytes) -> WriteSet:
    """Decode what `head_of` returned, or raise DamagedError."""
    try:
        return _decode_head(_opened(sealed))
    except msgspec.MsgspecError as error:
        raise DamagedError(str(error)) from error


def read_body(sealed: bytes) -> tuple[Rows, ...]:
    """Decode what `body_of` returned, or raise DamagedError."""
    try:
        packed = zstandard.ZstdDecompressor().decompress(_opened(sealed), max_output_size=_MOST_BYTES)
        return _decode_rows(packed)
    except (msgspec.MsgspecError, zstandard.ZstdError) as error:
        raise DamagedError(str(error)) from error


def _packed(value: object) -> bytes:
    try:
        return _encode(value)
    except (OverflowError, UnicodeError, TypeError, msgspec.MsgspecError) as error:
        raise UnfitError(str(error)) from error


def _sealed(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES) + content


def _opened(sealed: bytes) -> bytes:
    checksum, content = sealed[:_CHECKSUM_BYTES], sealed[_CHECKSUM_BYTES:]
    if zlib.crc32(content) != int.from_bytes(checksum):
        raise DamagedError("the checksum does not fit")
    return content
