"""Holes cut into what came live close, and what is loaded crosses the seams."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from backfill_rig import (
    KEY,
    MINUTE_MS,
    brought_in,
    configured,
    rows_of,
    simulated,
    trades_in,
    true_trades,
    whole_past,
)
from two_origins import LAG_NS, NS_A_MS, TRADES, TwoOrigins

from collector.query.audit.run_checks import run_audit
from collector.query.covered import gaps
from collector.query.loaders import load_trades


def test_a_hole_in_live_trades_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    start_ms, end_ms = whole_past()
    hole_ms = start_ms + 10 * MINUTE_MS, start_ms + 25 * MINUTE_MS
    path = tmp_path / "past.db"
    with simulated({"binance": ["BTC/USDT"]}) as simulator:
        true = true_trades(simulator, "binance", "BTC/USDT", start_ms, end_ms)
        store_live(path, start_ms, hole_ms, end_ms, true)
        before = len(trades_in(path, "binance", "BTC/USDT"))
        settings = configured(simulator, tmp_path, ["trade"])
        _, progress = brought_in(settings, start_ms, end_ms, only_holes=True)
        assert progress is not None
        assert progress.requests <= 3
        assert before < len(true)
        stored = trades_in(path, "binance", "BTC/USDT")
        assert [one[0] for one in stored] == [one[0] for one in true]
        assert brought_in(settings, start_ms, end_ms, only_holes=True, is_dry=True)[0].stretches == ()
    origins = dict(rows_of(path, "SELECT origin, count(*) FROM collector_trades GROUP BY origin"))
    assert origins == {None: before, "rest": len(true) - before}
    assert len(gaps(path)) == 0
    loaded = load_trades(path, "BTC/USDT")
    assert loaded["trade_id"].tolist() == [one[0] for one in true]
    assert list(run_audit(path).findings) == []


def store_live(path: Path, start_ms: int, hole_ms: tuple[int, int], end_ms: int, true: list[Any]) -> None:
    """Store what a collector would have that was not connected for a while."""
    live = TwoOrigins(str(path))
    for first_ms, last_ms in ((start_ms, hole_ms[0]), (hole_ms[1], end_ms)):
        segment = live.open(TRADES, first_ms)
        own = [
            (int(one[0]), one[1])
            for one in true
            if first_ms <= one[1] and one[1] + LAG_NS // NS_A_MS <= last_ms
        ]
        live.trades(segment, own)
        live.close(segment, last_ms, "closed")
    live.flush()
    live.sink.write(live.preparation.ended(end_ms * NS_A_MS, "stop"))
    live.sink.close()
