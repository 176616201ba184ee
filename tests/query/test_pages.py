"""Pages of rows, bars, events and coverage: each row once and in order, in short transactions."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.errors import DatabaseAway, QueryError, ReadTooLong
from collector.query import Asked, CoverageAsked, Cursor, Page, ShortReads
from collector.query.pages import (
    bars_page,
    coverage_page,
    events_page,
    intervals_stored,
    last_states,
    latest_trade,
    rows_page,
    sessions_page,
    stored_streams,
)

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, STEP_NS, SYMBOL, Facts, Row, Stored, insert, iso, prepare, write

MS = START_NS // 1_000_000
MINUTE_MS = 60_000


def rows_at(*steps: int, segment: int = 1) -> list[Row]:
    return [Row(START_NS + step * STEP_NS, segment, float(100 + step)) for step in steps]


def column(page: Page, name: str) -> list[Any]:
    return [row[page.columns.index(name)] for row in page.rows]


def all_mids(reads: ShortReads, *, newest_first: bool, limit: int = 3) -> list[float]:
    """Read all pages, one after the other."""
    mids: list[float] = []
    cursor = None
    while True:
        asked = Asked("bybit", SYMBOL, limit=limit, newest_first=newest_first, cursor=cursor)
        with reads.reading() as (connection, tables):
            page = rows_page(connection, tables, asked)
        mids += column(page, "mid_price")
        if page.next is None:
            return mids
        assert len(page.rows) == limit
        cursor = Cursor.of(page.next)


def test_pages_of_states_give_each_row_once_in_either_order(any_stored: str) -> None:
    same = rows_at(3)[0]  # three rows of one instant, cut by a page
    write(any_stored, Stored([*rows_at(0, 1), same, same, same, *rows_at(4, 5)], {1: START_NS + 9 * STEP_NS}))
    write(any_stored, Stored(rows_at(2, segment=2), {2: START_NS + 9 * STEP_NS}), Facts(exchange="binance"))
    reads = ShortReads(any_stored, limit_s=30.0)
    expected = [100.0, 101.0, 103.0, 103.0, 103.0, 104.0, 105.0]
    assert all_mids(reads, newest_first=False) == expected
    assert all_mids(reads, newest_first=True) == expected[::-1]
    with reads.reading() as (connection, tables):
        within = Asked("bybit", SYMBOL, START_NS + STEP_NS, START_NS + 4 * STEP_NS)
        assert column(rows_page(connection, tables, within), "mid_price") == [101.0, 103.0, 103.0, 103.0]
        spans = [
            (one["exchange"], one["first_ns"], one["last_ns"]) for one in stored_streams(connection, tables)
        ]
    assert spans == [
        ("binance", START_NS + 2 * STEP_NS, START_NS + 9 * STEP_NS),
        ("bybit", START_NS, START_NS + 9 * STEP_NS),
    ]


def test_the_deepest_book_is_read_unless_another_is_asked_for(stored_file: str) -> None:
    write(stored_file, Stored(rows_at(0, 1), {1: START_NS}), Facts(depth=50))
    write(stored_file, Stored(rows_at(2, segment=2), {2: START_NS}), Facts(depth=200))
    with ShortReads(stored_file, limit_s=30.0).reading() as (connection, tables):
        asked = Asked("bybit", SYMBOL)
        assert column(rows_page(connection, tables, asked), "mid_price") == [102.0]
        assert column(rows_page(connection, tables, asked, depth=50), "mid_price") == [100.0, 101.0]


def test_a_long_span_is_shown_by_the_last_state_before_each_instant(any_stored: str) -> None:
    write(any_stored, Stored(rows_at(0, 1, 2, 5, 19), {1: START_NS}))
    reads = ShortReads(any_stored, limit_s=30.0)
    with reads.reading() as (connection, tables):
        asked = Asked("bybit", SYMBOL, START_NS, START_NS + 20 * STEP_NS)
        page = last_states(connection, tables, asked, points=4)
    assert column(page, "at_ns") == [START_NS + step * STEP_NS for step in (5, 10, 20)]
    assert column(page, "mid_price") == [102.0, 105.0, 119.0]


def test_trades_come_in_pages_and_the_newest_alone(stored_file: str) -> None:
    count = 5
    insert(
        stored_file,
        "trades",
        {
            "timestamp": [iso(START_NS + place * STEP_NS) for place in range(count)],
            "exchange": ["bybit"] * count,
            "symbol": [SYMBOL] * count,
            "kind": ["trade"] * count,
            "trade_id": [str(place) for place in range(count)],
            "price": [10.0 + place for place in range(count)],
            "size": [1.0] * count,
            "received_at_ns": [START_NS + place * STEP_NS for place in range(count)],
        },
    )
    with ShortReads(stored_file, limit_s=30.0).reading() as (connection, tables):
        first = rows_page(connection, tables, Asked("bybit", SYMBOL, limit=3, newest_first=True), trades=True)
        assert first.next is not None
        rest = Asked("bybit", SYMBOL, limit=3, newest_first=True, cursor=Cursor.of(first.next))
        second = rows_page(connection, tables, rest, trades=True)
        assert column(first, "trade_id") + column(second, "trade_id") == ["4", "3", "2", "1", "0"]
        assert second.next is None
        newest = latest_trade(connection, tables, "bybit", SYMBOL)
        assert newest is not None
        assert (newest["trade_id"], newest["price"]) == ("4", 14.0)
        assert latest_trade(connection, tables, "kraken", SYMBOL) is None


def bars(closes: list[float], *, first: int = 0) -> dict[str, list[Any]]:
    count = len(closes)
    numbers = dict.fromkeys(("open", "high", "low", "close"), closes)
    return {
        "timestamp": [iso(START_NS)] * count,
        "exchange": ["bybit"] * count,
        "symbol": [SYMBOL] * count,
        "interval": ["1m"] * count,
        "open_time": [MS + (first + place) * MINUTE_MS for place in range(count)],
        **numbers,
        "volume": [1.0] * count,
        "confirmed": [1] * count,
        "received_at_ns": [START_NS] * count,
    }


def test_bars_come_in_pages_as_they_were_told_last(stored_file: str) -> None:
    insert(stored_file, "ohlcv", bars([1.0, 2.0, 3.0, 4.0]))
    insert(stored_file, "ohlcv_corrections", bars([2.5], first=1))
    with ShortReads(stored_file, limit_s=30.0).reading() as (connection, tables):
        assert intervals_stored(connection, tables, "bybit", SYMBOL) == ["1m"]
        first = bars_page(connection, tables, Asked("bybit", SYMBOL, limit=3), "1m")
        assert column(first, "close") == [1.0, 2.5, 3.0]
        assert first.next is not None
        rest = Asked("bybit", SYMBOL, limit=3, cursor=Cursor.of(first.next))
        second = bars_page(connection, tables, rest, "1m")
        assert (column(second, "close"), second.next) == ([4.0], None)
        newest = bars_page(connection, tables, Asked("bybit", SYMBOL, limit=2, newest_first=True), "1m")
        assert column(newest, "close") == [4.0, 3.0]
        minute_ns = MINUTE_MS * 1_000_000
        within = Asked("bybit", SYMBOL, START_NS + 1, START_NS + 2 * minute_ns)
        assert column(bars_page(connection, tables, within, "1m"), "close") == [2.5]


def history(*segments: tuple[int, int, int], symbol: str = SYMBOL) -> tuple[Stored, Facts]:
    """Segments as number, first step, last step."""
    rows = [row for number, first, last in segments for row in rows_at(first, last, segment=number)]
    alive = {number: START_NS + last * STEP_NS for number, _, last in segments}
    return Stored(rows, alive), Facts(symbol=symbol)


def at(step: float) -> int:
    return START_NS + int(step * STEP_NS)


def test_coverage_is_cut_to_the_span_and_a_hole_may_reach_into_it(any_stored: str) -> None:
    write(any_stored, *history((1, 0, 2), (2, 6, 8), (3, 9, 20)))
    reads = ShortReads(any_stored, limit_s=30.0)
    with reads.reading() as (connection, tables):
        ((stream,), following) = coverage_page(connection, tables, CoverageAsked(at(4), at(16)))
    assert following is None
    assert [(one["start_ns"], one["end_ns"]) for one in stream["holes"]] == [(at(4), at(6)), (at(8), at(9))]
    assert {one["cause"] for one in stream["holes"]} == {"sequence_gap"}
    assert [one["id"] for one in stream["segments"]] == ["2", "3"]
    assert stream["covered"] == pytest.approx(9 / 12)


def test_coverage_of_many_segments_goes_on_in_the_middle_of_a_stream(stored_file: str) -> None:
    write(stored_file, *history((1, 0, 1), (2, 2, 3), (3, 4, 5)))
    write(stored_file, *history((4, 0, 5), symbol="ETH/USDT:USDT"))
    found: list[tuple[str, list[str], int]] = []
    cursor: str | None = None
    for _ in range(2):
        with ShortReads(stored_file, limit_s=30.0).reading() as (connection, tables):
            behind = None if cursor is None else CoverageAsked.cursor_of(cursor)
            asked = CoverageAsked(at(0), at(5), cursor=behind)
            streams, cursor = coverage_page(connection, tables, asked, most=2)
        found += [(one["symbol"], [s["id"] for s in one["segments"]], len(one["holes"])) for one in streams]
    assert cursor is None
    assert found == [(SYMBOL, ["1", "2"], 1), (SYMBOL, ["3"], 1), ("ETH/USDT:USDT", ["4"], 0)]


def begun(url: str, *, ended: int | None) -> None:
    """Store the session of a history."""
    insert(
        url,
        "sessions",
        {
            "session_id": ["s"],
            "started_ns": [START_NS],
            "version": ["1"],
            "host": ["h"],
            "pid": [1],
            "wanted": ['{"bybit": {"symbols": []}}'],
            "ended_ns": [ended],
        },
    )


@pytest.mark.parametrize(
    ("ended", "hole"), [(None, (at(5), at(9))), (at(7), (at(5), at(7)))], ids=["runs", "ended"]
)
def test_a_stream_that_broke_has_a_hole_while_its_session_wanted_it(
    stored_file: str, ended: int | None, hole: tuple[int, int]
) -> None:
    write(stored_file, *history((1, 0, 5)))
    begun(stored_file, ended=ended)
    with ShortReads(stored_file, limit_s=30.0).reading() as (connection, tables):
        ((stream,), _) = coverage_page(connection, tables, CoverageAsked(at(0), at(9)))
        found, following = sessions_page(connection, tables, before_ns=None, limit=5)
    assert [(one["start_ns"], one["end_ns"]) for one in stream["holes"]] == [hole]
    assert (found[0]["wanted"], following) == ({"bybit": {"symbols": []}}, None)


@pytest.mark.parametrize(("ended", "until"), [(None, 9), (8, 8), (6, None)], ids=["runs", "ended", "before"])
def test_a_stream_that_broke_before_the_span_is_a_hole_in_it(
    any_stored: str, ended: int | None, until: int | None
) -> None:
    """An exchange that has been away for longer than is looked at must not look as if there were none."""
    write(any_stored, *history((1, 0, 2), (2, 3, 5)))
    write(any_stored, *history((3, 0, 9), symbol="ETH/USDT:USDT"))
    begun(any_stored, ended=None if ended is None else at(ended))
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(2):
        with ShortReads(any_stored, limit_s=30.0).reading() as (connection, tables):
            behind = None if cursor is None else CoverageAsked.cursor_of(cursor)
            streams, cursor = coverage_page(
                connection, tables, CoverageAsked(at(6), at(9), cursor=behind), most=1
            )
        found += streams
    assert cursor is None
    holes = {one["symbol"]: [(hole["start_ns"], hole["end_ns"]) for hole in one["holes"]] for one in found}
    broken = {} if until is None else {SYMBOL: [(at(6), at(until))]}
    assert holes == {**broken, "ETH/USDT:USDT": []}
    assert [one["id"] for one in found[-1]["segments"]] == ["3"]
    assert found[0]["covered"] == (0.0 if broken else 1.0)


def test_events_come_newest_first_in_pages(stored_file: str) -> None:
    names = ("session_id", "kind", "code", "detail")
    columns: dict[str, list[Any]] = {name: ["x"] * 5 for name in names}
    insert(stored_file, "events", {"at_ns": [at(place) for place in range(5)], **columns})
    with ShortReads(stored_file, limit_s=30.0).reading() as (connection, tables):
        first, before = events_page(connection, tables, before=None, limit=3)
        second, end = events_page(connection, tables, before=before, limit=3)
        spanned, _ = events_page(connection, tables, before=None, limit=9, start_ns=at(1), end_ns=at(3))
    assert [one["at_ns"] for one in (*first, *second)] == [at(place) for place in (4, 3, 2, 1, 0)]
    assert end is None
    assert [one["at_ns"] for one in spanned] == [at(2), at(1)]


def test_a_question_that_takes_too_long_is_given_up(any_stored: str) -> None:
    reads = ShortReads(any_stored, limit_s=0.5)
    numbers = sa.text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000000) "
        "SELECT max(i) FROM n"
    )
    began_s = time.monotonic()
    with pytest.raises(ReadTooLong, match="expected a shorter span"), reads.reading() as (connection, _):
        connection.execute(numbers)
    assert time.monotonic() - began_s < 30.0  # unlimited it takes minutes
    with reads.reading() as (connection, tables):
        assert stored_streams(connection, tables) == []  # and the next question is answered


def ask_for(seconds: float, connection: sa.Connection) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        connection.execute(sa.text("SELECT 1"))


def test_many_short_questions_are_given_up_as_well(any_stored: str) -> None:
    reads = ShortReads(any_stored, limit_s=0.1)
    with pytest.raises(ReadTooLong), reads.reading() as (connection, _):
        ask_for(10.0, connection)


def test_a_value_that_a_database_does_not_take_is_the_questions_fault(postgres_url: str) -> None:
    prepare(postgres_url)
    asked = CoverageAsked(at(0), at(9), exchange="by\0bit")
    with (
        pytest.raises(QueryError, match="does not take"),
        ShortReads(postgres_url, limit_s=30.0).reading() as (connection, tables),
    ):
        coverage_page(connection, tables, asked)


def test_the_words_of_a_driver_do_not_tell_the_password(postgres_url: str) -> None:
    url = sa.make_url(prepare(postgres_url)).set(password="hunter2-and-more")
    words = Exception("no way in with hunter2-and-more")
    with pytest.raises(DatabaseAway) as told, ShortReads(url).reading():
        raise sa.exc.OperationalError("SELECT", {}, words)
    assert str(told.value).endswith("no way in with ****")


def test_a_database_that_is_damaged_or_gone_is_said_so(stored_file: str) -> None:
    reads = ShortReads(stored_file, limit_s=30.0)
    path = Path(stored_file)
    path.write_bytes(b"nothing of a database" * 200)
    with pytest.raises((DatabaseAway, QueryError), match="cannot be read"), reads.reading():
        pass
    path.unlink()
    with pytest.raises(QueryError, match="no database"), reads.reading():
        pass


@pytest.mark.parametrize("text", ["", "x", "2024_", "_1", "2024-01-01T00:00:00Z_1;drop", "1_" + "9" * 30])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="the `next` of the page before"):
        Cursor.of(text)
    with pytest.raises(QueryError, match="the `next` of the page before"):
        CoverageAsked.cursor_of(text)


def test_a_cursor_of_more_than_64_bits_is_refused() -> None:
    with pytest.raises(QueryError, match="the `next` of the page before"):
        CoverageAsked.cursor_of("bybit~BTC/USDT:USDT~trade~" + "9" * 19)
