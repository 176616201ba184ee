"""Reconnecting ends after so many attempts where that was asked for: told, and nobody else is touched."""

import sys
from pathlib import Path
from typing import Any

from collector import DataIngestor, PotentialHalt, State, SystemState
from collector.app.wiring import make_collector
from collector.events import EventBus
from collector.settings import Settings, load_settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, wait_until

ENDS = {"stream.rest_after_attempts": 3, "stream.rest_s": None, "stream.backoff_base_s": 0.02}


def settings_of(simulator: Simulator, folder: Path, *names: str, **more: Any) -> Settings:
    overrides: dict[str, Any] = {"database.url": str(folder / "live.db"), "writer.interval_s": 0.05, **more}
    symbols = {"bybit": BTC, "okx": "BTC/USDT"}
    for name in names:
        overrides[f"exchanges.{name}.symbols"] = [symbols[name]]
        overrides[f"exchanges.{name}.endpoints"] = simulator.endpoints(name)
    return load_settings(overrides=overrides, environ={}, env_file=None)


def test_one_exchange_is_given_up_and_the_other_goes_on(tmp_path: Path) -> None:
    told = list[PotentialHalt | SystemState]()
    with Simulator(updates_per_s=200.0) as simulator:
        ingestor = DataIngestor(settings_of(simulator, tmp_path, "bybit", "okx", **ENDS))
        ingestor.events.subscribe((PotentialHalt, SystemState), told.append)
        assert ingestor.start(wait_for="all"), ingestor.start_failure
        simulator.faults.refuse("bybit", 503, count=1000)
        simulator.faults.close(exchange="bybit")
        wait_until(lambda: any(isinstance(one, PotentialHalt) for one in told), "it is given up")
        (halt,) = [one for one in told if isinstance(one, PotentialHalt)]
        states = {one["exchange"]: one["state"] for one in ingestor.get_stats()["streams"]}
        reasons = ingestor.is_healthy().reasons
        assert ingestor.phase == "running"
        ingestor.stop()
    assert (halt.exchange, halt.code) == ("bybit", "gave_up")
    assert f"{BTC} book.50 given up: 3 attempts to connect failed in a row, the last: http_503" in halt.reason
    assert states == {"bybit": "down", "okx": "verified"}
    assert f"refused: {halt.reason}" in reasons
    (error,) = [one for one in told if isinstance(one, SystemState) and one.state is State.ERROR]
    assert (error.exchange, error.connection.split(".")[0], error.cause) == ("bybit", "bybit", halt.reason)


def test_where_nothing_is_left_a_collector_ends_its_wait(tmp_path: Path) -> None:
    events, halts = EventBus(), list[PotentialHalt]()
    events.attach(PotentialHalt, halts.append)
    with Simulator(updates_per_s=200.0) as simulator:
        simulator.faults.rest_status("bybit", 503, count=1000)  # not even the list of markets
        collector = make_collector(settings_of(simulator, tmp_path, "bybit", **ENDS), events=events)
        collector.start()
        assert collector.wait(20.0)
        assert [(one.code, one.exchange) for one in halts] == [("gave_up", "bybit")]
        report = collector.stop()
    assert "the list of markets given up: 3 attempts in a row failed, the last: attempt 3" in halts[0].reason
    assert report.problems == (halts[0].reason,)


def test_a_start_that_gives_up_says_why_before_its_time_is_over(tmp_path: Path) -> None:
    with Simulator(updates_per_s=200.0) as simulator:
        simulator.faults.refuse("bybit", 503, count=1000)
        ingestor = DataIngestor(settings_of(simulator, tmp_path, "bybit", **ENDS))
        assert not ingestor.start(timeout=60.0)
        assert "given up: 3 attempts to connect failed in a row" in str(ingestor.start_failure)
