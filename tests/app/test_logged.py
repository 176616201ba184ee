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
            "stream.heartbeat_s": 1.0,
        }
        collector = make_collector(load_settings(overrides=overrides, environ={}, env_file=None))
        collector.start()
        try:
            wait_until(once("coverage.begun"), "coverage")
            simulator.faults.close("bybit", code=1012, reason="Service Restart")
            wait_until(once("coverage.begun", 2), "coverage again")
            simulator.faults.half_open("bybit")  # not a word any more, and no end
            wait_until(once("connection.lost", 2), "told of silence")
            wait_until(once("coverage.begun", 3), "coverage once more")
        finally:
            collector.stop()
    (name,) = {line["connection"] for line in told("coverage.begun")}
    assert [line["streams"] for line in told("coverage.begun")] == [6, 6, 6]
    lost, silent = told("connection.lost")
    assert (lost["log_level"], lost["connection"], lost["streams"]) == ("warning", name, 6)
    assert (lost["attempt"], lost["cause"], lost["close_code"]) == (1, "close_1012", 1012)
    assert lost["reason"] == "closed with code 1012: Service Restart"
    assert 0.0 <= lost["wait_s"] <= 0.05
    assert [line["streams"] for line in told("connection.closed")] == [6]
    assert (silent["log_level"], silent["streams"], silent["cause"]) == ("warning", 6, "silent")
    assert silent["reason"].startswith("neither data nor heartbeat for 2.")
    assert not told("coverage.ended")
    (dialled,) = told("exchange.dialled")
    assert (dialled["exchange"], dialled["environment"]) == ("bybit", "live")
    assert simulator.endpoints("bybit")["rest"] in dialled["addresses"]
    assert "ws://127.0.0.1" in dialled["addresses"]
    assert dialled["addresses"].endswith("/linear")  # and not the spot address, which nobody asked for
    assert "spot" not in dialled["addresses"]


def test_what_ended_the_websocket_thread_is_in_the_log_with_its_traceback(tmp_path: Path) -> None:
    overrides: dict[str, object] = {
        "database.url": str(tmp_path / "live.db"),
        "exchanges.bybit.symbols": [BTC],
    }
    collector = make_collector(load_settings(overrides=overrides, environ={}, env_file=None))

    def broken(_clock: object) -> tuple[()]:
        raise OSError(22, "Invalid argument")

    collector.stream._make_feeds = broken
    with capture_logs() as lines:
        collector.start()
        assert collector.wait(30.0)
        report = collector.stop()
    (died,) = [line for line in lines if line["event"] == "thread.died"]
    assert (died["log_level"], died["thread"]) == ("error", "websocket")
    assert died["exc_info"].__traceback__ is not None
    assert report.problems == ("the websocket thread failed: OSError(22, 'Invalid argument')",)


def test_a_fault_that_ends_the_thread_closes_sockets_and_segments_first(tmp_path: Path) -> None:
    """Left to the end of the loop, they were torn down in any order, with raw tracebacks, or never."""

    def broken(_clock: object) -> None:
        raise OSError(22, "Invalid argument")

    def begun() -> bool:
        return any(line["event"] == "coverage.begun" for line in list(lines))

    with capture_logs() as lines, Simulator(updates_per_s=200.0) as simulator:
        overrides: dict[str, object] = {
            "database.url": str(tmp_path / "live.db"),
            "exchanges.bybit.symbols": [BTC],
            "exchanges.bybit.endpoints": simulator.endpoints("bybit"),
        }
        collector = make_collector(load_settings(overrides=overrides, environ={}, env_file=None))
        collector.start()
        try:
            wait_until(begun, "coverage")
            collector.stream._check = broken  # type: ignore[method-assign]  # it looks every second
            assert collector.wait(30.0)
        finally:
            report = collector.stop()
    events = [line["event"] for line in lines]
    assert events.index("connection.closed") < events.index("thread.died")
    assert report.exact
    assert report.problems == ("the websocket thread failed: OSError(22, 'Invalid argument')",)
