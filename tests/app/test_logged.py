"""What a collector logs of its connections, seen on a real one."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from collector.app.wiring import make_collector
from collector.settings import load_settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import BTC, ETH, wait_until


def test_a_start_a_loss_and_a_stop_are_a_line_each_for_all_streams_of_a_connection(tmp_path: Path) -> None:
    def told(event: str) -> list[dict[str, Any]]:
        return [line for line in list(lines) if line["event"] == event]

    def once(event: str, times: int = 1) -> Callable[[], bool]:
        return lambda: len(told(event)) >= times

    with capture_logs() as lines, Simulator(updates_per_s=200.0) as simulator:
        overrides: dict[str, object] = {
            "database.url": str(tmp_path / "live.db"),
            "exchanges.bybit.symbols": [BTC, ETH],
            "exchanges.bybit.channels": ["book.50", "trade", "ohlcv.1m"],
            "exchanges.bybit.endpoints": simulator.endpoints("bybit"),
            "stream.backoff_base_s": 0.05,
        }
        collector = make_collector(load_settings(overrides=overrides, environ={}, env_file=None))
        collector.start()
        try:
            wait_until(once("coverage.begun"), "coverage")
            simulator.faults.close("bybit", code=1012, reason="Service Restart")
            wait_until(once("coverage.begun", 2), "coverage again")
        finally:
            collector.stop()
    (name,) = {line["connection"] for line in told("coverage.begun")}
    assert [line["streams"] for line in told("coverage.begun")] == [6, 6]
    (lost,) = told("connection.lost")
    assert (lost["log_level"], lost["connection"], lost["streams"]) == ("warning", name, 6)
    assert (lost["attempt"], lost["cause"], lost["close_code"]) == (1, "close_1012", 1012)
    assert lost["reason"] == "closed with code 1012: Service Restart"
    assert 0.0 <= lost["wait_s"] <= 0.05
    assert [line["streams"] for line in told("connection.closed")] == [6]
    assert not told("coverage.ended")
