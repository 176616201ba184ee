"""The report of a day: right in every number, kept once the day is over, made up where it was missed."""

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import insert, iso

from collector.app.daily_quality import DailyQuality
from collector.app.jobs.job import Ending, Result
from collector.cli.program import run as run_command
from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.database.url import database_url
from collector.query import quality
from collector.query.instants import midnight_ns
from collector.retention.move import Retention, archive_slices
from collector.sinks.sql.sink import SqlSink
from collector.sinks.sql.upkeep import Slice

S, MS = 10**9, 10**6
DAY, NEXT_DAY = "2026-01-31", "2026-02-01"
BEGAN_NS = midnight_ns(DAY)
HOUR_S, DAY_S = 3600, 86_400
SYMBOL = "BTC/USDT:USDT"
WHERE = {"exchange": "bybit", "symbol": SYMBOL}


def same(count: int, **values: Any) -> dict[str, list[Any]]:
    return {name: [value] * count for name, value in values.items()}


def cover(
    url: str,
    channel: str,
    *segments: tuple[int, int, str | None],
    witnessed: int = 3,
    segment: int | None = None,
) -> None:
    """Cover from one second of the day to another, with the cause for which each segment ended."""
    starts, ends, causes = zip(*segments, strict=True)
    count = len(segments)
    first = segment or abs(hash((channel, starts))) % 2**40
    insert(
        url,
        "coverage",
        {
            "segment_id": [first + number for number in range(count)],
            **same(count, session_id="s", **WHERE, channel=channel, rows=1, verification="sequence"),
            **same(count, witnessed=witnessed, disagreed=1),
            "start_ns": [BEGAN_NS + one * S for one in starts],
            "end_ns": [BEGAN_NS + one * S for one in ends],
            "alive_until_ns": [BEGAN_NS + one * S for one in ends],
            "end_cause": list(causes),
        },
    )


def write_trades(url: str, at_s: Sequence[float], lags_ms: Sequence[int], origin: str | None = None) -> None:
    at_ns = [BEGAN_NS + round(one * S) for one in at_s]
    count = len(at_ns)
    insert(
        url,
        "trades",
        {
            "timestamp": [iso(one) for one in at_ns],
            **same(count, **WHERE, kind="trade", price=1.0, size=1.0, segment_id=1, origin=origin),
            "trade_id": [f"{origin}{number}" for number in range(count)],
            "exchange_timestamp": [one // MS - lag for one, lag in zip(at_ns, lags_ms, strict=True)],
            "received_at_ns": at_ns,
        },
    )


def write_books(url: str, at_s: Sequence[float], depth: int, segment: int | None = None) -> None:
    at_ns = [BEGAN_NS + round(one * S) for one in at_s]
    insert(
        url,
        "hot",
        {
            "timestamp": [iso(one) for one in at_ns],
            **same(len(at_ns), **WHERE, depth=depth, mid_price=1.0, segment_id=segment),
            "exchange_timestamp": [one // MS - depth for one in at_ns],
            "received_at_ns": at_ns,
        },
    )


def write_day(url: str) -> None:
    """Trades with two holes in the day, and two books of one market in one table."""
    cover(
        url,
        "trade",
        (-HOUR_S, 6 * HOUR_S, "disconnect"),
        (6 * HOUR_S + 60, 12 * HOUR_S, "stale"),
        (12 * HOUR_S + 30, 18 * HOUR_S, "disconnect"),
        (18 * HOUR_S + 40, DAY_S + HOUR_S, None),
    )
    write_trades(url, [-1, *range(1, 1001), DAY_S + 1], [7, *range(1, 1001), 7])
    write_trades(url, [10.5, 11.5], [500_000, 600_000], origin="rest")
    cover(url, "book.50", (HOUR_S, 2 * HOUR_S, "stop"), witnessed=4)
    cover(url, "book.200", (HOUR_S, 2 * HOUR_S, "stop"), witnessed=5)
    write_books(url, [HOUR_S + one for one in range(5)], 50)
    write_books(url, [HOUR_S + one for one in range(9)], 200)


@pytest.fixture
def sink(any_database: str) -> Iterator[SqlSink]:
    one = SqlSink(any_database, synchronous="OFF")
    one.open()
    yield one
    one.close()


def keeper(sink: SqlSink, now_ns: int, table_name: str = DEFAULT_TABLE_NAME) -> DailyQuality:
    def submit(one: Slice) -> Future[int]:
        done: Future[int] = Future()
        done.set_result(sink.maintain(one))
        return done

    url = sink.url.render_as_string(hide_password=False)
    return DailyQuality(url, table_name, submit, lambda: now_ns)


def kept(sink: SqlSink) -> list[dict[str, Any]]:
    engine = make_engine(database_url(sink.url), read_only=True)
    try:
        with engine.connect() as connection:
            query = sa.text("SELECT * FROM collector_day_quality ORDER BY day, exchange, symbol, channel")
            return [dict(row) for row in connection.execute(query).mappings()]
    finally:
        engine.dispose()


def test_a_day_is_told_in_numbers(sink: SqlSink) -> None:
    write_day(sink.url.render_as_string(hide_password=False))
    assert keeper(sink, BEGAN_NS + (DAY_S + HOUR_S) * S).keep(Ending()) == f"2 days up to {DAY}"
    book_200, book_50, trades = [one for one in kept(sink) if one["day"] == DAY]
    assert (trades["day"], trades["channel"], trades["rows"]) == (DAY, "trade", 1002)
    assert trades["covered_s"] == DAY_S - 130
    assert trades["covered"] == pytest.approx(1 - 130 / DAY_S)
    assert (trades["holes"], trades["holes_s"], trades["filled"]) == (3, 130.0, 0.0)
    assert json.loads(trades["holes_by_cause"]) == {
        "disconnect": {"holes": 2, "seconds": 100.0},
        "stale": {"holes": 1, "seconds": 30.0},
    }
    assert (trades["resyncs"], trades["witnessed"], trades["disagreed"]) == (3, 9, 3)
    # The first fifty of each quarter of an hour: lags 1 to 50, and 900 to 949; none of what REST brought.
    assert (trades["lag_p50_ms"], trades["lag_p99_ms"]) == (475.0, pytest.approx(948, abs=1))
    assert 90 * 1002 < trades["bytes"] < 300 * 1002
    assert (book_50["rows"], book_200["rows"]) == (5, 9)
    assert (book_50["lag_p50_ms"], book_200["lag_p50_ms"]) == (50.0, 200.0)
    assert (book_50["covered"], book_50["covered_s"], book_50["resyncs"]) == (1.0, HOUR_S, 0)
    assert (book_50["witnessed"], book_200["witnessed"]) == (4, 5)


def test_a_day_that_is_not_over_is_not_kept_but_can_be_computed(sink: SqlSink) -> None:
    url = sink.url.render_as_string(hide_password=False)
    write_day(url)
    for now_s in (DAY_S - 1, DAY_S + 599):  # a little after midnight something may still wait
        keeper(sink, BEGAN_NS + now_s * S).keep(Ending())
    assert {one["day"] for one in kept(sink)} == {"2026-01-30"}
    found = quality(sink.url, [DAY], now_ns=BEGAN_NS + 12 * HOUR_S * S)
    assert [(one["channel"], one["kept"], one["covered_s"]) for one in found[2:]] == [
        ("trade", False, 12 * HOUR_S - 60)
    ]


def test_days_that_were_missed_are_made_up_and_none_is_done_twice(sink: SqlSink) -> None:
    url = sink.url.render_as_string(hide_password=False)
    write_day(url)
    cover(url, "ohlcv.1m", (3 * DAY_S + 60, 5 * DAY_S, "stop"))
    now_ns = BEGAN_NS + (6 * DAY_S + HOUR_S) * S
    assert keeper(sink, now_ns).keep(Ending()) == "5 days up to 2026-02-04"
    days = [one["day"] for one in kept(sink)]
    assert sorted(set(days)) == ["2026-01-30", DAY, NEXT_DAY, "2026-02-03", "2026-02-04"]
    before = kept(sink)
    assert keeper(sink, now_ns + HOUR_S * S).keep(Ending()) == ""
    assert kept(sink) == before


@in_a_file
def test_two_channels_of_one_depth_have_each_their_own_rows(sink: SqlSink) -> None:
    """The best bid and ask by either of its names, one after the other."""
    url = sink.url.render_as_string(hide_password=False)
    for channel, segment, rows, hour in (("bbo", 71, 3, 1), ("book.1", 72, 5, 3)):
        cover(url, channel, (hour * HOUR_S, (hour + 1) * HOUR_S, "stop"), segment=segment)
        write_books(url, [hour * HOUR_S + one for one in range(rows)], 1, segment)
    found = quality(sink.url, [DAY], now_ns=BEGAN_NS + DAY_S * S)
    assert {one["channel"]: one["rows"] for one in found} == {"bbo": 3, "book.1": 5}


@in_a_file
def test_the_report_is_the_same_after_hours_were_moved_to_files(sink: SqlSink, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    url = sink.url.render_as_string(hide_password=False)
    write_day(url)
    for channel, segment, rows, hour in (("bbo", 71, 3, 1), ("book.1", 72, 5, 3)):
        cover(url, channel, (hour * HOUR_S, (hour + 1) * HOUR_S, "stop"), segment=segment)
        write_books(url, [hour * HOUR_S + one for one in range(rows)], 1, segment)
    wanted = quality(sink.url, [DAY], now_ns=BEGAN_NS + DAY_S * S)
    assert sum(one["rows"] > 0 for one in wanted) > 3
    for hours in (5, 23, 26):
        now = datetime.fromtimestamp(BEGAN_NS / S + hours * HOUR_S, UTC)
        kept = Retention(None, tmp_path / "archive", hot_hours=1)
        for one in archive_slices(url, DEFAULT_TABLE_NAME, kept, lambda now=now: now):
            sink.maintain(one)
        found = quality(sink.url, [DAY], now_ns=BEGAN_NS + DAY_S * S)
        for one, before in zip(found, wanted, strict=True):
            assert one.pop("bytes") == pytest.approx(before["bytes"], rel=0.15)
            for name in ("lag_p50_ms", "lag_p95_ms", "lag_p99_ms"):  # a quarter may be looked at twice
                assert one.pop(name) == (before[name] and pytest.approx(before[name], rel=0.3))
            assert one.items() <= before.items()


def test_each_book_table_has_its_own_report(sink: SqlSink) -> None:
    """One book is collected into a table of its own, from the second day on."""
    url = sink.url.render_as_string(hide_password=False)
    write_day(url)
    now_ns = BEGAN_NS + (2 * DAY_S + HOUR_S) * S
    other = SqlSink(url, "deep_books", synchronous="OFF", auto_migrate=True)
    sink.close()  # a file has one writer
    other.open()
    try:
        cover(url, "book.50", (DAY_S + HOUR_S, DAY_S + 2 * HOUR_S, "stop"), segment=81)
        cover(url, "book.500", (DAY_S + HOUR_S, DAY_S + 2 * HOUR_S, "stop"), segment=82)
        write_books(url, [DAY_S + HOUR_S + one for one in range(4)], 50, 81)
        rows = [BEGAN_NS + (DAY_S + HOUR_S + one) * S for one in range(6)]
        with other._database.engine.begin() as connection:
            connection.execute(
                sa.insert(make_tables("deep_books").hot),
                [{**WHERE, "timestamp": iso(one), "depth": 500, "received_at_ns": one} for one in rows],
            )
        assert keeper(other, now_ns, "deep_books").keep(Ending()) == f"1 day up to {NEXT_DAY}"
        assert keeper(other, now_ns, "deep_books").keep(Ending()) == ""
    finally:
        other.close()
    sink.open()
    assert keeper(sink, now_ns).keep(Ending()) == f"3 days up to {NEXT_DAY}"
    books = {
        name: {
            one["channel"]: one["rows"]
            for one in quality(sink.url, [NEXT_DAY], table_name=name)
            if one["channel"].startswith("book") and one["kept"]
        }
        for name in (DEFAULT_TABLE_NAME, "deep_books")
    }
    assert books == {DEFAULT_TABLE_NAME: {"book.50": 4}, "deep_books": {"book.500": 6}}


@in_a_file
def test_what_is_computed_again_is_the_same(sink: SqlSink) -> None:
    write_day(sink.url.render_as_string(hide_password=False))
    now_ns = BEGAN_NS + (DAY_S + HOUR_S) * S
    keeper(sink, now_ns).keep(Ending())
    before = kept(sink)
    with sink._database.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM collector_day_quality"))
    keeper(sink, now_ns).keep(Ending())
    assert kept(sink) == before


@in_a_file
def test_a_run_that_is_broken_off_keeps_no_half_day(sink: SqlSink) -> None:
    write_day(sink.url.render_as_string(hide_password=False))
    ending = Ending()
    ending.ask(Result.STOPPED)
    assert keeper(sink, BEGAN_NS + (DAY_S + HOUR_S) * S).keep(ending) == ""
    assert kept(sink) == []


def test_the_command_prints_the_last_day_and_others_within_eighty_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.cli.program._set_up_libraries", lambda: None)
    monkeypatch.setenv("COLUMNS", "80")
    sink = SqlSink(str(tmp_path / "live.db"), synchronous="OFF")
    sink.open()
    write_day(str(tmp_path / "live.db"))
    keeper(sink, BEGAN_NS + (DAY_S + HOUR_S) * S).keep(Ending())
    sink.close()
    capsys.readouterr()

    def told(*words: str) -> str:
        assert run_command(["report", "--db", str(tmp_path / "live.db"), *words]) == 0
        return capsys.readouterr().out

    text = told()
    assert text.splitlines()[0] == f"{DAY} UTC"
    (at,) = [at for at, one in enumerate(text.splitlines()) if one.split()[:3] == ["bybit", SYMBOL, "trade"]]
    line, causes = text.splitlines()[at : at + 2]
    assert line.split()[3:] == ["1,002", *line.split()[4:6], "99.850%", "3", "944", "ms"]
    assert causes == "  disconnect 2 (2m), stale 1 (30s)"
    assert max(map(len, text.splitlines())) <= 80
    (row,) = [one for one in json.loads(told("--json")) if one["channel"] == "trade"]
    assert row["holes_by_cause"]["stale"] == {"holes": 1, "seconds": 30.0}
    with time_machine.travel("2026-02-02T12:00:00Z"):
        assert [line[:10] for line in told("--days", "2").splitlines() if " UTC" in line] == [DAY, NEXT_DAY]
    with time_machine.travel("2026-02-01T00:30:00Z"):
        assert "computed now" in told("--day", NEXT_DAY)
    assert "nothing was collected that day" in told("--day", "2025-01-01")
    assert run_command(["report", "--db", str(tmp_path / "live.db"), "--day", "yesterday"]) == 2
