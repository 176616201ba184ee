"""How a write set is split: by market, within the limits, claiming nothing that is yet to come."""

import sys
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import UnfitRow
from collector.events.batch import UNKNOWN, StreamKey
from collector.sinks.avro import MOST_BYTES, MOST_ROWS, Assembler, Form, records_of, why_unfit
from collector.sinks.avro.schemas import schemas
from collector.sinks.contract import AccountingState, Rows, Value, WriteSet

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))
from one_segment import make_write_set
from written import MARKETS, SESSION, some_write_sets

KEYS = {":".join(market) for market in MARKETS}


def parts(write_set: WriteSet) -> list[WriteSet]:
    assembler = Assembler()
    found = [assembler.take(one.data, "") for one in records_of(write_set, Form.BATCH)]
    return [one for one in found if one is not None]


def test_a_record_is_of_one_market_and_so_is_its_key() -> None:
    for write_set in some_write_sets(11, [200]):
        for record, part in zip(records_of(write_set, Form.BATCH), parts(write_set), strict=True):
            streams = {one.key for one in part.segments} | {one.key for one in part.accounting}
            rows = {
                pair
                for one in part.rows
                if one.table in {"book", "levels", "trades", "ohlcv"}
                for pair in zip(one.columns["exchange"], one.columns["symbol"], strict=True)
            }
            assert {":".join(key[:2]) for key in streams} | {f"{a}:{b}" for a, b in rows} <= {
                record.partition_key
            }
            assert record.partition_key in KEYS | {"session:session-1"}
            assert part.batch_id == f"{write_set.batch_id}/{record.partition_key}/0"


def test_what_is_no_markets_goes_with_the_session() -> None:
    unknown = StreamKey("bybit", UNKNOWN, UNKNOWN)
    rows = Rows("events", {"at_ns": [1, 2], "kind": ["clock", "segment"], "exchange": [None, "bybit"],
                           "symbol": [None, "BTC/USDT"]})  # fmt: skip
    counts = AccountingState("session-1", *unknown, received=1, rejected={"unreadable": 1})
    write_set = WriteSet("b", SESSION, (rows,), (), (counts,))
    found = {one.batch_id: one for one in parts(write_set)}
    assert list(found) == ["b/session:session-1/0", "b/bybit:BTC/USDT/0"]
    ours, markets = found.values()
    assert (ours.accounting, markets.accounting) == ((counts,), ())
    assert [one.columns["kind"] for one in (*ours.rows, *markets.rows)] == [["clock"], ["segment"]]


@given(st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=4)
def test_no_part_claims_more_than_there_is_up_to_it(seed: int, markets: int) -> None:
    (write_set, *_) = some_write_sets(seed, [1_300 * min(markets, 3)], markets=min(markets, 3))
    received: dict[Value, list[int]] = {}
    for rows in write_set.rows:
        if rows.table in {"book", "trades", "ohlcv"}:
            told_of = rows.columns["segment_id"], rows.columns["received_at_ns"]
            for segment, at_ns in zip(*told_of, strict=True):
                received.setdefault(segment, []).append(int(at_ns or 0))
    held: Counter[Value] = Counter()
    told: Counter[Value] = Counter()
    over: set[Value] = set()
    for part in parts(write_set):
        for rows in part.rows:
            if rows.table in {"book", "trades", "ohlcv"}:
                assert not over.intersection(rows.columns["segment_id"]), "rows of a segment that is over"
                held.update(rows.columns["segment_id"])
        written: Counter[StreamKey] = Counter()
        for one in part.segments:
            told[one.segment_id] += one.rows
            written[one.key] += one.rows
            assert told[one.segment_id] == held[one.segment_id]
            until = [
                at
                for at in received.get(one.segment_id, ())
                if isinstance(at, int) and at <= one.alive_until_ns
            ]
            assert len(until) == held[one.segment_id], "rows before its end that are not there"
            assert one.start_ns <= one.end_ns <= one.alive_until_ns
            over |= {one.segment_id} if one.end_cause else set()
        assert written == Counter({one.key: one.written for one in part.accounting if one.written})
    assert held == told
    assert len(over) > 2


def test_a_part_tells_which_one_stands_before_it() -> None:
    (write_set, *_) = some_write_sets(3, [3_000], markets=1)
    end = schemas().part_end
    told = [
        fastavro.schemaless_reader(BytesIO(one.data.removeprefix(end.prefix)), end.one, None)
        for one in records_of(write_set, Form.SINGLE)
        if one.data.startswith(end.prefix) and one.partition_key in KEYS
    ]
    names = [f"{write_set.batch_id}/bybit:BTC/USDT:USDT/{number}" for number in range(len(told))]
    assert len(names) > 2
    assert [one["part_id"] for one in told] == names
    assert [one["after"] for one in told] == ["", *names[:-1]]
    assert [one["is_last"] for one in told] == [name == names[-1] for name in names]


def test_a_part_has_at_most_a_thousand_rows_whatever_they_are() -> None:
    (write_set, *_) = some_write_sets(8, [2_500], markets=1)
    events = Rows("events", {"at_ns": list(range(1_200)), "exchange": ["bybit"] * 1_200,
                             "symbol": ["BTC/USDT:USDT"] * 1_200})  # fmt: skip
    found = parts(replace(write_set, rows=(*write_set.rows, events)))
    assert [one.row_count for one in found if "session:" not in one.batch_id][:-1] == [1_000] * (
        len(found) - 2
    )


def test_long_texts_make_smaller_parts_not_larger_records() -> None:
    key = StreamKey("bybit", "BTC/USDT", "trade")
    count = MOST_ROWS
    columns: dict[str, list[Value]] = {
        "timestamp": ["2026-01-01T00:00:00.000000Z"] * count,
        "exchange": [key.exchange] * count,
        "symbol": [key.symbol] * count,
        "received_at_ns": [1_767_225_600_000_000_000] * count,
        "kind": ["trade"] * count,
        "trade_id": [f"{number:03d}" + "ы" * 500 for number in range(count)],
        "marked": [None] * count,
        "price": [1.0] * count,
        "size": [1.0] * count,
    }
    write_set = WriteSet("b", SESSION, (Rows("trades", columns, key),))
    for form in Form:
        records = records_of(write_set, form)
        assert all(len(one.data) < MOST_BYTES for one in records)
    found = parts(write_set)
    assert len(found) > 1
    assert [one for part in found for one in part.rows[0].columns["trade_id"]] == columns["trade_id"]


def test_many_large_rejected_rows_are_spread_over_parts() -> None:
    original = ["{" + "x" * 200_000 + "}"] * 20
    write_set = WriteSet(
        "b", SESSION, (Rows("rejected", {"reason": ["crossed"] * 20, "original": original}),)
    )
    found = parts(write_set)
    assert len(found) > 3
    assert [text for part in found for text in part.rows[0].columns["original"]] == original


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("sequence", 2**63, "sequence: a number beyond 64 bits"),
        ("sequence", 1.5, "sequence: something that is not a whole number"),
        ("bid_price_1", "1.5", "bid_price: something that is not a number"),
        ("bid_price_1", 10**400, "bid_price: a number beyond 64 bits"),
        ("symbol", None, "symbol is missing"),
        ("exchange", 7, "exchange: something that is not text"),
        ("data_source", "\ud800", "half a character"),
        ("data_source", "x" * 2_000, "a text of 2,000 bytes"),
        ("timestamp", None, "timestamp is missing"),
        ("colour", "red", "no place for its column colour"),
    ],
)
def test_what_a_record_cannot_hold_is_refused_with_its_reason(column: str, value: Value, why: str) -> None:
    (rows,) = make_write_set(count=3).rows
    columns = {name: list(values) for name, values in rows.columns.items()}
    columns.setdefault(column, ["blue"] * 3)[1] = value
    bad = Rows("book", columns)
    assert why in (why_unfit(bad) or "")
    with pytest.raises(UnfitRow, match=why):
        records_of(replace(make_write_set(), rows=(bad,)), Form.SINGLE)
    assert why_unfit(rows) is None


@pytest.mark.parametrize(
    ("table", "column", "value", "why"),
    [
        ("events", "at_ns", 2**63, "at_ns"),
        ("events", "code", 7, "code"),
        ("rejected", "original", "\ud800", "surrogates"),
        ("rejected", "original", "x" * MOST_BYTES, "at most 1,048,576 fit"),
        ("rejected", "colour", "red", "no place for its column colour"),
    ],
)
def test_so_is_a_row_that_is_no_market_data(table: str, column: str, value: Value, why: str) -> None:
    assert why in (why_unfit(Rows(table, {column: [value]})) or "")


def test_so_are_rows_of_a_table_that_the_schema_does_not_have() -> None:
    assert why_unfit(Rows("gossip", {"a": [1]})) == "gossip: the schema has no place for rows of this kind"
