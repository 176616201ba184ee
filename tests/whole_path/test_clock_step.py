"""The wall clock is stepped while books are collected, or between two runs: nothing is lost or mixed."""

import functools
import sqlite3
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from collector import gaps, load_features, load_trades
from collector.clock import Clock
from collector.errors import QueryError
from collector.events.market import Trade
from collector.events.notices import ClockStep, PotentialHalt, SegmentChanged
from collector.live import thread
from collector.query.audit import run_audit
from collector.simulator import Simulator
from collector.writer.sources import BufferSource

sys.path.insert(0, str(Path(__file__).parent))
from rig import Market, Rig, on_markets, running, stop_and_check, wait_until

HALF_AN_HOUR_NS, MINUTE_NS = 1800 * 10**9, 60 * 10**9
TWO_HOURS_NS = 4 * HALF_AN_HOUR_NS  # further off than a trade may be


@on_markets("binance linear", "kraken spot")
def test_books_go_on_over_a_step_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, market: Market
) -> None:
    ahead = [HALF_AN_HOUR_NS]
    monkeypatch.setattr(thread, "Clock", functools.partial(Clock, lambda: time.time_ns() + ahead[0]))
    steps: list[ClockStep] = []
    with running(tmp_path / "live.db", market=market) as rig:
        rig.collector.events.subscribe(ClockStep, steps.append)
        ahead[0] = 0
        wait_until(lambda: steps, "the step is noticed")
        rows = rig.written(market.symbols[0])
        wait_until(lambda: rig.written(market.symbols[0]) > rows, "rows after the step")
        report = rig.collector.stop()
        assert report.exact
        after, before = rig.segments(market.symbols[0])  # in the order of the clock, which went back
        assert (before["end_cause"], after["end_cause"]) == ("clock_step", "stop")
        assert before["detail"].startswith("-1800.")
        assert after["alive_until_ns"] < before["start_ns"]
        assert before["alive_until_ns"] - before["start_ns"] < HALF_AN_HOUR_NS // 10
        audit = run_audit(rig.database)
        assert audit.passed, audit.findings
        notes = [one.text for one in audit.notes if one.check == "clock step"]
        assert len(notes) == 1
        assert "its clock was set back by 1800." in notes[0]
        assert load_features(rig.database, market.symbols[0], on_gap="split")


@on_markets("binance linear")
def test_trades_are_an_alarm_and_not_covered_until_a_clock_two_hours_ahead_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, market: Market
) -> None:
    ahead = [TWO_HOURS_NS]
    monkeypatch.setattr(thread, "Clock", functools.partial(Clock, lambda: time.time_ns() + ahead[0]))
    halts: list[PotentialHalt] = []
    heard: list[Trade] = []
    symbol = market.symbols[0]
    channels = {f"exchanges__{market.exchange}__channels": [market.channel, "trade"]}
    with (
        Simulator(symbols={market.exchange: [symbol]}, updates_per_s=250.0) as simulator,
        ExitStack() as ends,
    ):
        rig = Rig(simulator, str(tmp_path / "live.db"), [symbol], market, **channels)
        rig.collector.events.attach(PotentialHalt, halts.append)
        rig.collector.events.attach(Trade, heard.append)
        ends.callback(rig.collector.stop)
        rig.collector.start()

        def rejected() -> int:
            counts, _ = rig.collector.buffer.snapshot()
            key = (market.exchange, symbol, "trade")
            return counts[key][0].rejected.get("time_far_off", 0) if key in counts else 0

        def changes() -> list[SegmentChanged]:
            return [one for one in rig.changes if one.channel == "trade"]

        wait_until(lambda: rejected() > 20, "trades that look two hours old")
        rig.wait_until_verified()  # a book is told by its numbers, whatever the clock
        assert (changes()[-1].verified, changes()[-1].cause) == (False, "time_far_off")
        ahead[0] = 0
        wait_until(lambda: changes()[-1].verified, "trades covered by the new clock")
        before = len(heard)
        wait_until(lambda: len(heard) >= before + 10, "trades after the step")
        assert changes()[-1].verified
        assert rig.collector.stop().exact
        (alarm,) = (one for one in halts if one.code == "time_far_off")
        assert alarm.symbol == symbol
        assert alarm.reason.startswith("trade: 5 in a row dated -7")
        after, *ahead_of_time = (one for one in rig.segments(symbol) if one["channel"] == "trade")
        assert (after["end_cause"], after["rows"] >= 10) == ("stop", True)
        assert {one["end_cause"] for one in ahead_of_time} == {"time_far_off"}
        if market.exchange != "kraken":  # which sends fifty of the past, whose times may be old
            assert {one["rows"] for one in ahead_of_time} == {0}
            assert len(load_trades(rig.database, symbol)) == after["rows"]
        audit = run_audit(rig.database)
        assert audit.passed, audit.findings


def test_a_step_back_between_two_runs_is_like_one_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, right_ns = tmp_path / "live.db", time.time_ns
    ahead_ns = [0]

    def wall_ns() -> int:
        return right_ns() + ahead_ns[0]

    monkeypatch.setattr(time, "time_ns", wall_ns)
    monkeypatch.setattr(thread, "Clock", functools.partial(Clock, wall_ns))
    monkeypatch.setitem(BufferSource.__init__.__kwdefaults__, "now_ns", wall_ns)
    ahead_ns[0] = HALF_AN_HOUR_NS
    with running(path) as rig:
        stop_and_check(rig)
    symbol = rig.symbols[0]
    (first,) = rig.segments(symbol)
    with closing(sqlite3.connect(path)) as connection, connection:  # the market was quiet for a minute more
        connection.execute(f"UPDATE collector_coverage SET alive_until_ns = alive_until_ns + {MINUTE_NS}")
        connection.execute(f"UPDATE collector_sessions SET ended_ns = ended_ns + {MINUTE_NS}")
    for now_ns in (first["end_ns"] + 1, right_ns()):
        ahead_ns[0] = now_ns - right_ns()
        with running(path) as rig:
            stop_and_check(rig)  # with what `verify` says of it
    last, first, second = rig.segments(symbol)
    assert last["alive_until_ns"] < first["start_ns"] < second["start_ns"] < first["alive_until_ns"]
    notes = [one.text for one in run_audit(path).notes]
    assert len(notes) == 1
    assert "overlap in time, for the clock was set back" in notes[0]
    with pytest.raises(QueryError, match="the clock was set back"):
        load_features(path, symbol)
    parts = load_features(path, symbol, on_gap="split")
    of_segment = {part["segment"].iloc[0]: len(part) for part in parts}
    assert of_segment == {one["segment_id"]: one["rows"] for one in (last, first, second)}
    hole = gaps(path, symbol).to_dict(orient="records")
    assert [(one["from_ns"], one["until_ns"]) for one in hole] == [
        (last["alive_until_ns"], first["start_ns"])
    ]
