"""Records that are not what they should be: refused with a reason, whatever they hold, at little cost."""

import sys
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadRecord
from collector.sinks.avro import Assembler, Form, records_of
from collector.sinks.avro.columnar import varint
from collector.sinks.avro.schemas import make_schema, schemas
from collector.sinks.contract import WriteSet

sys.path.insert(0, str(Path(__file__).parents[2]))
from one_segment import make_write_set

(CONTAINER,) = [one.data for one in records_of(make_write_set(count=20), Form.BATCH)]
EVENT, *_, END = [one.data for one in records_of(make_write_set(count=20), Form.SINGLE)]
KINDS = {"container": CONTAINER, "event": EVENT, "end": END}


def refused(data: bytes, **bounds: int) -> str:
    with pytest.raises(BadRecord) as caught:
        Assembler(**bounds).take(data, "0")
    assert caught.value.reason == str(caught.value)
    return caught.value.reason


def taken_or_refused(data: bytes) -> WriteSet | None:
    """Take a record that may be anything: nothing else may be raised than that it is bad."""
    try:
        return Assembler().take(data, "0")
    except BadRecord:
        return None


@given(st.binary(max_size=200), st.sampled_from([b"", b"Obj\x01", b"\xc3\x01", EVENT[:10], END[:10]]))
@settings(max_examples=settings().max_examples * 3)
def test_garbage_is_refused(garbage: bytes, begin: bytes) -> None:
    assert taken_or_refused(begin + garbage) is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_off_is_refused(kind: str) -> None:
    whole = KINDS[kind]
    for end in [*range(0, len(whole), 7), len(whole) - 1]:
        assert refused(whole[:end])


@given(st.sampled_from(sorted(KINDS)), st.data())
@settings(max_examples=settings().max_examples * 3)
def test_damage_anywhere_is_survived(kind: str, data: st.DataObject) -> None:
    whole = bytearray(KINDS[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    taken_or_refused(bytes(whole))


@given(st.binary(max_size=400), st.integers(0, 2**62))
def test_a_block_may_hold_and_claim_anything(content: bytes, count: int) -> None:
    assert taken_or_refused(container_of("null", content, count)) is None


def container_of(codec: str, block: bytes, count: int, schema: str = "", **metadata: bytes) -> bytes:
    """Make a container by hand: one block, with the end of an honest one."""
    source = BytesIO(CONTAINER)
    source.seek(4)
    kind: Any = fastavro.parse_schema({"type": "map", "values": "bytes"})
    told: Any = fastavro.schemaless_reader(source, kind, None)
    told |= {"avro.codec": codec.encode()} | metadata
    told |= {"avro.schema": schema.encode()} if schema else {}
    out = BytesIO()
    fastavro.schemaless_writer(out, kind, told)
    sync = b"0123456789abcdef"
    return b"".join((b"Obj\x01", out.getvalue(), sync, varint(count), varint(len(block)), block, sync))


def packed(codec: str, content: bytes) -> bytes:
    if codec == "zstandard":
        return zstandard.ZstdCompressor(level=3).compress(content)
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize("codec", ["deflate", "zstandard"])
def test_what_grows_without_measure_when_decompressed_is_not_decompressed(codec: str) -> None:
    bomb = container_of(codec, packed(codec, bytes(80 << 20)), 1)
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    try:
        assert "too large when it is decompressed" in refused(bomb)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", ["null", "deflate", "zstandard"])
def test_all_codecs_that_readers_have_are_read(codec: str) -> None:
    whole = Assembler().take(CONTAINER, "0")
    assert whole is not None
    content = b"".join(
        one.data[10:] for one in records_of(make_write_set(count=20), Form.SINGLE)[:-1]
    )  # fmt: skip
    block = content if codec == "null" else packed(codec, content)
    assert Assembler().take(container_of(codec, block, 20), "0") == whole


def test_bounds_are_those_given() -> None:
    assert "at most 19 are read" in refused(CONTAINER, most_rows=19)
    assert "too large when it is decompressed" in refused(CONTAINER, most_bytes=1_000)
    assert "at most 0 are read" in refused(EVENT, most_rows=0)
    assert "at most 19 are read" in refused(END, most_rows=19)


def test_what_nobody_here_knows_is_named() -> None:
    assert "fingerprint 0102030405060708" in refused(b"\xc3\x01" + bytes(range(1, 9)) + EVENT[10:])
    assert "schema that is not known here" in refused(container_of("null", b"", 0, schema='"null"'))
    assert "codec b'snappy'" in refused(container_of("snappy", b"", 0))
    assert "begins with 7b226122" in refused(b'{"a": 1}')
    assert "begins with nothing" in refused(b"")


def test_a_container_of_another_schema_of_ours_is_refused() -> None:
    assert "a container of part_end" in refused(container_of("null", b"", 0, schemas().part_end.text))


def test_an_end_that_does_not_fit_the_events_is_refused() -> None:
    content = b"".join(one.data[10:] for one in records_of(make_write_set(count=20), Form.SINGLE)[:-1])
    assert "19 events where its end tells of 20" in refused(
        container_of("null", b"".join(split_events(content)[:19]), 19)
    )
    turned = split_events(content)
    turned[3], turned[4] = turned[4], turned[3]
    assert "event 4 of batch-1/bybit:BTC/USDT:USDT/0 at place 3" in refused(
        container_of("null", b"".join(turned), 20)
    )
    assert "bytes too many" in refused(container_of("null", content + b"\0", 20))
    assert "cannot be read" in refused(container_of("null", content, 20, **{"collector.part": b"?!"}))


def split_events(content: bytes) -> list[bytes]:
    found = [one.data[10:] for one in records_of(make_write_set(count=20), Form.SINGLE)[:-1]]
    assert b"".join(found) == content
    return found


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tables": [{"tables": "gossip", "rows": 0, "channel": None, "absent": []}]}, "'gossip'"),
        ({"session": {"wanted": b"no zlib"}}, "wanted cannot be read"),
        ({"session": {"wanted": zlib.compress(bytes(5 << 20))}}, "too long"),
        ({"session": {"wanted": zlib.compress(b"[]")[:-1]}}, "cut off"),
        ({"records": -1}, "a part of -1 events"),
    ],
)
def test_an_end_with_nonsense_in_it_is_refused(change: dict[str, Any], why: str) -> None:
    schema = schemas().part_end
    (record,) = records_of(WriteSet("b", make_write_set().session), Form.SINGLE)
    told: Any = fastavro.schemaless_reader(BytesIO(record.data[10:]), schema.one, None)
    if "session" in change:
        change = {"session": told["session"] | change["session"]}
    out = BytesIO()
    fastavro.schemaless_writer(out, schema.one, told | change)
    assert why in refused(schema.prefix + out.getvalue())


def test_events_of_one_table_are_no_rows_of_another() -> None:
    """An end that says that trades are bars."""
    schema = schemas().part_end
    told: Any = fastavro.schemaless_reader(BytesIO(END[10:]), schema.one, None)
    told["tables"][0]["tables"] = "ohlcv"
    out = BytesIO()
    fastavro.schemaless_writer(out, schema.one, told)
    assembler = Assembler()
    for one in records_of(make_write_set(count=20), Form.SINGLE)[:-1]:
        assembler.take(one.data, "0")
    with pytest.raises(BadRecord, match="no rows of ohlcv"):
        assembler.take(schema.prefix + out.getvalue(), "1")
    assert assembler.earliest_open is None


def test_a_schema_made_by_hand_has_a_fingerprint_as_the_specification_says() -> None:
    """The value that every implementation of CRC-64-AVRO gives for this schema."""
    assert make_schema("null", "null").fingerprint.hex() == "8a8f25cce724dd63"
