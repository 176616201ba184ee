"""Write a part as an Avro object container file, and read one without trusting it."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import cache
from io import BytesIO
from typing import Any

import fastavro
import zstandard

from collector.errors import BadRecord
from collector.sinks.avro.columnar import varint
from collector.sinks.avro.schemas import Schema, schemas

MAGIC = b"Obj\x01"
PART = "collector.part"  # the metadata that holds the part's end, as base64: libraries take it for text
CODEC, LEVEL = "deflate", 1  # every reader of Avro has it
_SYNC_BYTES = 16
_MOST_WINDOW_BYTES = 8 << 20
_METADATA: Any = fastavro.parse_schema({"type": "map", "values": "bytes"})
_LONG: Any = fastavro.parse_schema({"type": "long"})


def container(content: bytes, count: int, end: bytes | None) -> bytes:
    """Return a file of one block that holds so many records; `end` is stored in its metadata."""
    sync = zlib.crc32(content).to_bytes(4) * 4  # tells blocks from one another; the same file each time
    deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflater.compress(content) + deflater.flush()
    return b"".join((_header(end), sync, varint(count), varint(len(block)), block, sync))


def _header(end: bytes | None) -> bytes:
    out = BytesIO(MAGIC)
    out.seek(0, 2)
    metadata = _described() if end is None else {**_described(), PART: b64encode(end)}
    fastavro.schemaless_writer(out, _METADATA, metadata)
    return out.getvalue()


@cache
def _described() -> dict[str, bytes]:
    return {"avro.codec": CODEC.encode(), "avro.schema": schemas().market_data.text.encode()}


def read_container(
    data: bytes, known: Mapping[bytes, Schema], most_bytes: int, most_rows: int
) -> tuple[Schema, int, bytes, bytes | None]:
    """Return schema, number and encoding of the records, and the part's end. Raises BadRecord."""
    source = BytesIO(data)
    source.seek(len(MAGIC))
    try:
        metadata: dict[str, bytes] = fastavro.schemaless_reader(source, _METADATA, None)  # type: ignore[assignment]
        sync = source.read(_SYNC_BYTES)
        schema = known.get(metadata.get("avro.schema", b""))
        if schema is None:
            raise BadRecord("a container of a schema that is not known here: a newer version wrote it?")
        content, count = b"", 0
        while source.tell() < len(data):
            records, size = _long(source), _long(source)
            block = source.read(size) if size >= 0 else b""
            if records < 0 or len(block) != size or source.read(_SYNC_BYTES) != sync:
                raise BadRecord("a container with a damaged or cut off block")
            count += records
            if count > most_rows:
                raise BadRecord(f"a container of {count:,} events; at most {most_rows:,} are read")
            content += _decompressed(block, metadata.get("avro.codec", b"null"), most_bytes - len(content))
        end = b64decode(metadata[PART], validate=True) if PART in metadata else None
    except (EOFError, ValueError, IndexError, TypeError, OverflowError, MemoryError) as error:
        raise BadRecord(f"a container that cannot be read: {error!r}") from error
    return schema, count, content, end


def _long(source: BytesIO) -> int:
    return int(fastavro.schemaless_reader(source, _LONG, None))  # type: ignore[arg-type]


def _decompressed(block: bytes, codec: bytes, most_bytes: int) -> bytes:
    """Return at most so many bytes, whatever the block claims or holds."""
    match codec:
        case b"null":
            content = block
        case b"deflate":
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                content = inflater.decompress(block, most_bytes + 1)
            except zlib.error as error:
                raise BadRecord(f"a block that cannot be decompressed: {error}") from error
        case b"zstandard":
            reader = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW_BYTES).stream_reader(block)
            try:
                content = reader.read(most_bytes + 1)
            except zstandard.ZstdError as error:
                raise BadRecord(f"a block that cannot be decompressed: {error}") from error
        case _:
            raise BadRecord(f"the codec {codec!r}; expected null, deflate or zstandard")
    if len(content) > most_bytes:
        raise BadRecord("a container that is too large when it is decompressed")
    return content
