"""Rows that a database refuses for what they are go aside; the rest is stored once; to find them is cheap."""

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from one_segment import make_write_set

from collector.database.engine import make_engine
from collector.database.tables import make_tables
from collector.database.url import database_url
from collector.events.batch import StreamKey
from collector.sinks.contract import AccountingState, Receipt, Rows, SegmentState, WriteSet
from collector.sinks.sql.sink import SqlSink
from collector.writer.poison import sift

BTC = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
GOOD = "2026-01-01T00:00:00.000001Z"


def refuses(rows: Rows) -> str | None:
    return "no timestamp" if None in rows.columns["timestamp"] else None


def stored(url: str, table: sa.Table) -> list[dict[str, Any]]:
    engine = make_engine(database_url(url), read_only=True)
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
    engine.dispose()
    return found


def check_pieces(segments: list[SegmentState], places: range, bad: set[int]) -> None:
    """Check that there is one segment for each stretch of good rows, and what each says."""
    pieces = [list(run) for good, run in groupby(places, lambda place: place not in bad) if good]
    if places[0] in bad:  # nothing of it is stored before the hole
        first, *segments = segments
        assert (first.rows, first.start_ns, first.alive_until_ns) == (0, places[0], places[0])
        assert first.end_cause == "poison"
    assert [(one.start_ns, one.end_ns, one.alive_until_ns, one.rows) for one in segments] == [
        (piece[0], piece[-1], piece[-1], len(piece)) for piece in pieces
    ]
    assert [(one.first_sequence, one.last_sequence) for one in segments] == [
        (piece[0], piece[-1]) for piece in pieces
    ]
    for one, piece in zip(segments, pieces, strict=True):
        assert one.end_cause == (None if piece[-1] == places[-1] else "poison")
    assert len({one.segment_id for one in segments}) == len(segments)


@given(st.sets(st.integers(0, 39)))
def test_exactly_the_bad_rows_are_taken_out(bad: set[int]) -> None:
    columns = {
        "timestamp": [None if place in bad else GOOD for place in range(40)],
        "sequence": list(range(40)),
        "received_at_ns": list(range(40)),
        "segment_id": [1 if place < 20 else 2 for place in range(40)],
    }
    eth = StreamKey("bybit", "ETH/USDT:USDT", "book.50")
    segments = tuple(
        SegmentState(number, "s", *key, first, first + 19, first + 19, first, first + 19, 20, "sequence")
        for number, key, first in ((1, BTC, 0), (2, eth, 20))
    )
    accounts = tuple(AccountingState("s", *key, received=20, written=20) for key in (BTC, eth))
    session: Any = type("Session", (), {"session_id": "s"})
    found = sift(WriteSet("b", session, (Rows("book", columns),), segments, accounts), refuses, 1)
    assert found.found == len(bad)
    assert found.write_set.rows[0].columns["sequence"] == [place for place in range(40) if place not in bad]
    for account, places in zip(found.write_set.accounting, (range(20), range(20, 40)), strict=True):
        left = [place for place in places if place not in bad]
        assert account.difference == 0
        assert account.written == len(left)
        assert account.rejected.get("poison", 0) == 20 - len(left)
        check_pieces([one for one in found.write_set.segments if one.key == account.key], places, bad)
    numbers = found.write_set.rows[0].columns["segment_id"]
    assert list(numbers) == [one.segment_id for one in found.write_set.segments for _ in range(one.rows)]
    if bad:
        told = [json.loads(str(text))["sequence"] for text in found.write_set.rows[1].columns["original"]]
        assert told == sorted(bad)


def test_one_bad_row_of_thousands_costs_a_few_tries() -> None:
    tries = []

    def counted(rows: Rows) -> str | None:
        tries.append(len(rows))
        return refuses(rows)

    write_set = make_write_set(count=4096, timestamp=[GOOD] * 3000 + [None] + [GOOD] * 1095)
    assert sift(write_set, counted, 1).found == 1
    assert len(tries) <= 2 * 12 + 1
    assert sum(tries) <= 3 * 4096


def test_the_rest_of_a_poisoned_batch_is_stored_and_told(
    any_database: str,
) -> None:
    sink = SqlSink(any_database, auto_migrate=True)
    sink.open()
    write_set = make_write_set(count=500, timestamp=[GOOD] * 123 + [None] + [GOOD] * 376)
    found = sift(write_set, sink.refuses, 1)
    assert sink.write(found.write_set) == Receipt()
    assert sink.write(found.write_set).repeated
    sink.close()
    known = make_tables("l2_training_data_practical")
    assert [row["sequence"] for row in stored(any_database, known.hot)] == [
        place for place in range(500) if place != 123
    ]
    (rejected,) = stored(any_database, known.rejected)
    assert (rejected["reason"], rejected["batch_id"], rejected["symbol"]) == ("poison", "batch-1", BTC.symbol)
    assert json.loads(rejected["original"])["sequence"] == 123
    (account,) = stored(any_database, known.accounting)
    assert (account["received"], account["written"], account["rejected"]) == (500, 499, 1)
    assert sorted((one["rows"], one["end_cause"]) for one in stored(any_database, known.coverage)) == [
        (123, "poison"),
        (376, None),
    ]


@pytest.mark.parametrize("value", ["nul \0 here", "\ud800", 2**70])
def test_values_that_a_database_cannot_hold_are_found(any_database: str, value: object) -> None:
    column = "sequence" if isinstance(value, int) else "data_source"
    sink = SqlSink(any_database, auto_migrate=True)
    sink.open()
    write_set = make_write_set(
        count=4, **{column: [1, 2, value, 4] if column == "sequence" else ["a", "b", value, "d"]}
    )
    if sink.refuses(write_set.rows[0]) is None:  # SQLite takes a NUL
        assert value == "nul \0 here"
    else:
        found = sift(write_set, sink.refuses, 1)
        assert found.found == 1
        sink.write(found.write_set)
        known = make_tables("l2_training_data_practical")
        assert len(stored(any_database, known.hot)) == 3
        assert len(stored(any_database, known.rejected)) == 1
    sink.close()


def test_a_segment_tells_of_its_book_rows_wherever_their_table_stands() -> None:
    book = {
        "timestamp": [None, GOOD, GOOD],
        "sequence": [4, 5, 6],
        "received_at_ns": [40, 50, 60],
        "segment_id": [1, 1, 1],
    }
    trades = {"timestamp": [GOOD], "segment_id": [9], "trade_id": ["x"]}
    levels = {"timestamp": [GOOD] * 3, "segment_id": [1, 1, 1], "sequence": [4, 5, 6]}
    segment = SegmentState(1, "s", *BTC, 40, 60, 60, 4, 6, 3, "sequence")
    account = AccountingState("s", *BTC, received=3, written=3)
    session: Any = type("Session", (), {"session_id": "s"})
    parts = (Rows("trades", trades), Rows("book", book), Rows("levels", levels))
    found = sift(WriteSet("b", session, parts, (segment,), (account,)), refuses, 1)
    ended, left = found.write_set.segments
    assert (ended.segment_id, ended.rows, ended.end_cause) == (1, 0, "poison")
    assert found.write_set.rows[2].columns["segment_id"] == [left.segment_id] * 2
    assert (left.start_ns, left.end_ns, left.first_sequence, left.last_sequence, left.rows) == (
        50,
        60,
        5,
        6,
        2,
    )
    assert [rows.table for rows in found.write_set.rows] == ["trades", "book", "levels", "rejected"]
    assert found.write_set.rows[2].columns["sequence"] == [5, 6]  # the levels of the bad row went with it
    assert found.write_set.rows[0].columns == trades
    (rejected,) = found.write_set.rows[3].columns["original"]
    assert json.loads(str(rejected)) == {
        "table": "book",
        "timestamp": None,
        "sequence": 4,
        "received_at_ns": 40,
        "segment_id": 1,
    }


def test_a_state_whose_levels_are_refused_is_lost_as_a_whole() -> None:
    book = {
        "timestamp": [GOOD] * 3,
        "segment_id": [1] * 3,
        "received_at_ns": [1, 2, 3],
        "sequence": [4, 5, 6],
    }
    levels = {**book, "timestamp": [GOOD, None, GOOD]}
    segment = SegmentState(1, "s", *BTC, 1, 3, 3, 4, 6, 3, "sequence")
    account = AccountingState("s", *BTC, received=3, written=3)
    session: Any = type("Session", (), {"session_id": "s"})
    parts = (Rows("book", book), Rows("levels", levels))
    found = sift(WriteSet("b", session, parts, (segment,), (account,)), refuses, 1)
    assert [rows.columns["sequence"] for rows in found.write_set.rows[:2]] == [[4, 6], [4, 6]]
    assert found.rejected == {BTC: 1}
    assert [one.rows for one in found.write_set.segments] == [1, 1]


def test_a_bad_row_that_is_nobodys_is_counted_for_whoever_is_there() -> None:
    eth = StreamKey("bybit", "ETH/USDT:USDT", "trade")
    accounts = tuple(AccountingState("s", *key, received=1, written=1) for key in (BTC, eth))
    session: Any = type("Session", (), {"session_id": "s"})

    def counted_for(**columns: list[object]) -> list[StreamKey]:
        rows = Rows("trades", {"timestamp": [None], **columns})  # type: ignore[dict-item]
        return list(sift(WriteSet("b", session, (rows,), (), accounts), refuses, 1).rejected)

    assert counted_for(exchange=[eth.exchange], symbol=[eth.symbol]) == [eth]
    assert counted_for(exchange=["elsewhere"], symbol=[eth.symbol]) == [BTC]
    assert counted_for() == [BTC]


def test_a_table_of_as_many_rows_as_the_book_loses_none_of_its_own() -> None:
    book = {"timestamp": [None, GOOD], "segment_id": [1, 1]}
    trades = {"timestamp": [GOOD, GOOD], "segment_id": [9, 9], "trade_id": ["x", "y"]}
    account = AccountingState("s", *BTC, received=4, written=4)
    session: Any = type("Session", (), {"session_id": "s"})
    found = sift(
        WriteSet("b", session, (Rows("book", book), Rows("trades", trades)), (), (account,)), refuses, 1
    )
    assert found.write_set.rows[1].columns == trades
    assert found.found == 1


def test_segments_of_what_rest_brought_end_and_begin_in_exchange_time() -> None:
    trades = StreamKey("binance", "BTC/USDT", "trade")
    columns: dict[str, list[Any]] = {
        "timestamp": [GOOD, None, GOOD, GOOD],
        "received_at_ns": [9_000_000_000] * 4,
        "exchange_timestamp": [10, 20, 30, 40],
        "segment_id": [7] * 4,
        "sequence": [None] * 4,
        "origin": ["rest"] * 4,
    }
    segment = SegmentState(
        7, "s", *trades, 5_000_000, 40_000_000, 40_000_000, None, None, 4, "rest", "filled"
    )
    account = AccountingState("s", *trades, received=4, written=4)
    rows = Rows("trades", columns, trades)
    session = make_write_set().session
    sifted = sift(WriteSet("b", session, (rows,), (segment,), (account,)), refuses, 1)
    spans = [(one.start_ns, one.end_ns, one.rows) for one in sifted.write_set.segments]
    assert spans == [(5_000_000, 10_000_000, 1), (30_000_000, 40_000_000, 2)]
