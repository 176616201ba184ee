"""What is encoded column by column is what Avro's own library writes value by value."""

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.sinks.avro import Form, records_of
from collector.sinks.avro.columnar import Coded, Encoder, Same, Unfit, varint
from collector.sinks.avro.schemas import SINGLE_OBJECT, schemas

sys.path.insert(0, str(Path(__file__).parent))
from written import some_write_sets

LONGS = st.integers(-(2**63), 2**63 - 1)
DOUBLES = st.floats()
TEXTS = st.text(max_size=40)
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Tried",
    "fields": [
        {"name": "text", "type": "string"},
        {"name": "whole", "type": "long"},
        {"name": "other", "type": "long"},
        {"name": "maybe_whole", "type": ["null", "long"]},
        {"name": "real", "type": "double"},
        {"name": "maybe_real", "type": ["null", "double"]},
        {"name": "maybe_text", "type": ["null", "string"]},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a", "b", "c"]}},
        {
            "name": "there",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "There",
                    "fields": [{"name": "list", "type": {"type": "array", "items": ["null", "double"]}}],
                },
            ],
        },
        {
            "name": "gone",
            "type": ["null", {"type": "record", "name": "Gone", "fields": [{"name": "n", "type": "long"}]}],
        },
    ],
}
ROW = st.fixed_dictionaries(
    {
        "text": TEXTS,
        "whole": LONGS,
        "other": LONGS,
        "maybe_whole": st.none() | LONGS,
        "real": DOUBLES,
        "maybe_real": st.none() | DOUBLES,
        "maybe_text": st.none() | TEXTS,
        "kind": st.sampled_from("abc"),
        "there": st.fixed_dictionaries(
            {"list": st.lists(st.none() | DOUBLES, min_size=2, max_size=2)}
        ),
        "gone": st.none(),
    }
)  # fmt: skip


def one_by_one(schema: Any, rows: list[Any]) -> list[bytes]:
    found = []
    for row in rows:
        out = BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
        found.append(out.getvalue())
    return found


@given(st.lists(ROW, min_size=1, max_size=12), st.sampled_from([b"", b"\xc3\x01mark"]))
@settings(max_examples=settings().max_examples * 2 // 5)
def test_the_bytes_are_those_of_the_library(rows: list[Any], prefix: bytes) -> None:
    columns = {
        name: [row[name] for row in rows]
        for name in SCHEMA["fields"] and rows[0]
        if name not in {"there", "gone"}
    }
    columns |= {f"there.list.{place}": [row["there"]["list"][place] for row in rows] for place in range(2)}
    encoded = Encoder(SCHEMA, 2, prefix).encode(len(rows), columns, ["there"])
    begins = [0, *encoded.ends]
    found = [encoded.content[a:b] for a, b in zip(begins, encoded.ends, strict=False)]
    assert found == [prefix + one for one in one_by_one(SCHEMA, rows)]


def test_a_column_may_hold_one_value_or_name_each_of_few() -> None:
    fields = [{"name": "a", "type": "string"}, {"name": "b", "type": ["null", "string"]}]
    schema = {"type": "record", "name": "Two", "fields": fields}
    numpy = pytest.importorskip("numpy")
    columns = {"a": Coded(["x", "yy"], numpy.array([1, 0, 1])), "b": Same(None)}
    expected = b"".join(one_by_one(schema, [{"a": one, "b": None} for one in ("yy", "x", "yy")]))
    assert Encoder(schema, 0).encode(3, columns, []).content == expected


def test_what_a_field_must_have_is_missed() -> None:
    with pytest.raises(Unfit, match="whole is missing"):
        Encoder(SCHEMA, 2).encode(1, {"text": ["x"], "whole": [None], "other": [1]}, [])


@given(st.integers(0, 2**62))
def test_a_varint_is_a_long(number: int) -> None:
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema({"type": "long"}), number)
    assert varint(number) == out.getvalue()


@given(st.integers(0, 2**32), st.booleans())
@settings(max_examples=5)
def test_a_plain_reader_reads_a_container_and_each_single_event(seed: int, deep: bool) -> None:
    """As a program does that knows Avro and our schema, and nothing else of us."""
    schema = schemas().market_data
    for write_set in some_write_sets(seed, [40], deep=deep):
        events: list[Any] = []
        for one in records_of(write_set, Form.BATCH):
            if one.data.startswith(b"Obj\x01"):
                events += fastavro.reader(BytesIO(one.data))
        singles = [
            one.data for one in records_of(write_set, Form.SINGLE) if one.data.startswith(schema.prefix)
        ]
        parsed = fastavro.parse_schema({**schema.definition})
        read = [fastavro.schemaless_reader(BytesIO(one[10:]), parsed, None) for one in singles]
        for event in events:  # the container's own schema says that this is a time
            event["timestamp"] = int(event["timestamp"].timestamp() * 1000)
        assert events == read
        assert one_by_one(parsed, read) == [one[10:] for one in singles]
        assert all(one.startswith(SINGLE_OBJECT) for one in singles)


def test_an_event_says_what_a_plain_consumer_asks_for() -> None:
    told: dict[str, Any] = {}
    for write_set in some_write_sets(2, [60]):
        for record in records_of(write_set, Form.BATCH):
            for event in fastavro.reader(BytesIO(record.data)) if record.data.startswith(b"Obj\x01") else ():
                told[event["event_type"]] = event
    assert set(told) == {"depth", "trade", "kline"}
    for kind, event in told.items():
        assert (event["source"], event["symbol"] in {"BTCUSDT", "ЮЛЯUSDT"}) == ("websocket", True)
        assert event["timestamp"].year == 2023
        assert event["price"] > 0
        assert (event["bid_price"] is not None) == (kind == "depth")
        assert (event["volume"] is not None) == (kind != "depth")
        assert event["channel"] == {"depth": "book.50", "trade": "trade", "kline": "ohlcv.1m"}[kind]
