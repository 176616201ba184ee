"""A running collector closes the holes of its trades and bars by itself, and nothing else."""

import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))
from backfill_rig import MINUTE_MS, NS_A_MS, bars_in, rows_of, trades_in, true_bars, true_trades

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import Market, Rig, wait_until

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import insert

from collector.app import wiring_fill_holes
from collector.app.jobs.job import Ending, Result
from collector.backfilling import plan as planning
from collector.backfilling.pages import Stretch
from collector.errors import CollectorError, SinkError
from collector.query.audit.run_checks import run_audit
from collector.query.covered import gaps
from collector.query.covered_spans import CoveredSpan
from collector.query.database import reading
from collector.simulator import Simulator
from collector.sinks.contract import SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink

SYMBOL = "BTC/USDT"
OKX = Market("okx", (SYMBOL, "ETH/USDT"), "trade")
MISSING_MS = 10 * MINUTE_MS


def cover_before(database: str, start_ms: int, end_ms: int) -> None:
    """Leave an earlier session that was cut, and what it covered."""
    session = {
        "session_id": "earlier",
        "started_ns": start_ms * NS_A_MS,
        "version": "0",
        "host": "h",
        "pid": 1,
        "wanted": "{}",
        "ended_ns": end_ms * NS_A_MS,
        "end_cause": "stop",
    }
    insert(database, "sessions", {name: [value] for name, value in session.items()})
    for number, channel in enumerate(("trade", "ohlcv.1m")):
        values = {
            "segment_id": number + 1,
            "session_id": "earlier",
            "exchange": "okx",
            "symbol": SYMBOL,
            "channel": channel,
            "start_ns": start_ms * NS_A_MS,
            "end_ns": end_ms * NS_A_MS,
            "alive_until_ns": end_ms * NS_A_MS,
            "rows": 0,
            "witnessed": 0,
            "disagreed": 0,
            "verification": "sequence",
            "end_cause": "disconnect",
        }
        insert(database, "coverage", {name: [value] for name, value in values.items()})


@pytest.mark.parametrize(
    "any_database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.proof)], indirect=True
)
def test_a_hole_between_two_sessions_is_closed_beside_what_comes_live(
    any_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring_fill_holes, "UNTIL_NOW_MS", 0)
    monkeypatch.setattr(planning, "NOT_YET_MS", 0)
    now_ms = time.time_ns() // NS_A_MS
    cut_ms = (now_ms - MISSING_MS) // MINUTE_MS * MINUTE_MS
    with Simulator(symbols={"okx": [SYMBOL]}, updates_per_s=20.0) as simulator:
        simulator.faults.rest_allowance("okx", 10**9)
        second = SqlSink(lay_tables(str(tmp_path / "second.db")))
        channels = {"exchanges__okx__channels": ["trade", "ohlcv.1m"]}
        rig = Rig(simulator, any_database, [SYMBOL], OKX, sinks=[second], **channels)
        cover_before(any_database, cut_ms - MINUTE_MS, cut_ms)
        rig.collector.start()
        try:
            rig.wait_until_verified(5)
            assert len(gaps(any_database)) == 2
            ran_ms = time.time_ns() // NS_A_MS
            rig.collector.jobs.begin("fill_holes")
            wait_until(lambda: rig.collector.jobs.state("fill_holes").runs == 1, "its run")
            state = rig.collector.jobs.state("fill_holes")
            assert state.last_result == Result.DONE, state
            assert state.last_text.endswith(" holes of 2 streams")
            assert gaps(any_database, channel="trade").empty
            # Of bars what the minute that is not over will close.
            for _, left in gaps(any_database).iterrows():
                assert left["until_ns"] - left["from_ns"] < 2 * MINUTE_MS * NS_A_MS
            assert rig.collector.jobs.run("fill_holes").last_result == Result.DONE
            seen = rig.written(SYMBOL)
            wait_until(lambda: rig.written(SYMBOL) > seen, "what comes live goes on")
        finally:
            report = rig.collector.stop()
        assert report.good
        assert run_audit(any_database).findings == ()
        check_follower(any_database, str(tmp_path / "second.db"), rig.collector.session.session_id)
        if any_database.startswith("sqlite"):
            check_truth(rig, Path(any_database.removeprefix("sqlite:///")), cut_ms, ran_ms)


def check_follower(database: str, follower: str, session: str) -> None:
    """What REST brought is there as it is in the database, by its origin, and so is what it covers."""
    found: list[list[Any]] = []
    for one in (database, follower):
        with reading(one) as (connection, tables):
            trades, bars, coverage = tables.trades.c, tables.ohlcv.c, tables.coverage.c
            numbers = trades.price, trades.size, trades.timestamp, trades.received_at_ns
            whole = [
                sa.select(trades.trade_id, *numbers, trades.segment_id).where(trades.origin == "rest"),
                sa.select(bars.open_time, bars.close, bars.volume, bars.origin).where(bars.origin == "rest"),
                sa.select(*coverage).where(coverage.session_id == session),
            ]
            found.append([sorted(map(tuple, connection.execute(query)), key=repr) for query in whole])
    assert found[1] == found[0]
    assert min(map(len, found[0])) > 3


def check_truth(rig: Rig, path: Path, cut_ms: int, ran_ms: int) -> None:
    live = "session_id = ? AND channel = 'trade' AND end_cause = 'stop'"
    query = f"SELECT MIN(start_ns) FROM collector_coverage WHERE {live}"
    ((live_ns,),) = rows_of(path, query, rig.collector.session.session_id)
    # The first that came live may have been a moment on its way: its own time is before its receipt.
    first = "SELECT MIN(exchange_timestamp) FROM collector_trades WHERE origin IS NULL"
    ((first_ms,),) = rows_of(path, first)
    live_ms = min(live_ns // NS_A_MS, first_ms)
    # Looked for beyond the end, and cut here: near the present the market's own clock may lie a step apart.
    around = true_trades(rig.simulator, "okx", SYMBOL, cut_ms, live_ms + MINUTE_MS)
    true = [one for one in around if one[1] < live_ms]
    stored = [one for one in trades_in(path, "okx", SYMBOL) if cut_ms <= one[1] < live_ms]
    assert stored == true
    assert len(true) > 50
    over_ms = min(live_ms, ran_ms) // MINUTE_MS * MINUTE_MS
    bars = true_bars(rig.simulator, "okx", SYMBOL, cut_ms, over_ms)
    stored_bars = [one for one in bars_in(path, "okx", SYMBOL) if one[0] >= cut_ms]
    assert stored_bars[: len(bars)] == bars
    origins = rows_of(path, "SELECT DISTINCT origin FROM collector_trades ORDER BY origin")
    assert origins == [(None,), ("rest",)]


def span(start_s: int, until_s: int) -> CoveredSpan:
    return CoveredSpan(start_s * 10**9, until_s * 10**9, is_filled=False)


def test_only_what_lies_between_two_spans_is_a_hole() -> None:
    assert not wiring_fill_holes.has_hole([])
    assert not wiring_fill_holes.has_hole([span(10, 20), span(15, 30), span(30, 40)])
    assert wiring_fill_holes.has_hole([span(10, 20), span(25, 30)])
    between = lambda start_s, end_s: wiring_fill_holes.lies_between(  # noqa: E731
        Stretch(None, "spot", "", None, start_s * 1000, end_s * 1000, {}),  # type: ignore[arg-type]
        [span(10, 20), span(40, 50)],
    )
    assert between(20, 40)
    assert between(18, 42)  # a little into both
    assert not between(0, 10)
    assert not between(50, 60)


def test_a_stop_waits_for_no_writer_that_takes_nothing_any_more() -> None:
    refused: Future[int] = Future()
    refused.set_exception(CollectorError("the writer takes no more work now"))
    ending = Ending()
    writes = wiring_fill_holes.ThroughWriter(SqlSink("./unused.db"), lambda _: refused, ending)
    session = SessionState("s", 1, "0", "host", 1, "{}")
    with pytest.raises(SinkError) as busy:
        writes.write(WriteSet("batch", session))
    assert busy.value.transient  # it is tried again
    ending.ask(Result.STOPPED)
    with pytest.raises(SinkError) as over:
        writes.write(WriteSet("batch", session))
    assert not over.value.transient
