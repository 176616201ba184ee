"""The wall clock is stepped while books are collected: no event is lost, and no segment spans the step."""

import functools
import sys
import time
from pathlib import Path

import pytest

from collector import load_features
from collector.clock import Clock
from collector.events.notices import ClockStep
from collector.live import thread
from collector.query.audit import run_audit

sys.path.insert(0, str(Path(__file__).parent))
from rig import Market, on_markets, running, wait_until

HALF_AN_HOUR_NS = 1800 * 10**9


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
