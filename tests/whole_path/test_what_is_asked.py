"""What is configured is the measure: an exchange or a market that is missing is never fine, and is named."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from collector.app.collector import Collector
from collector.app.wiring import make_collector
from collector.bot.health import reasons_of
from collector.cli.commands.status import status
from collector.cli.live_table import draw
from collector.cli.service import status_text
from collector.query.missing_streams import missing
from collector.settings import load_settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, wait_until

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

SOL = "SOL/USDT:USDT"
SPOT = "BTC/USDT"


def collector_of(simulator: Simulator, database: Path, exchanges: dict[str, list[str]]) -> Collector:
    lay_tables(str(database))
    overrides: dict[str, object] = {
        "database.url": str(database),
        "writer.interval_s": 0.05,
        "stream.backoff_base_s": 0.05,
        "stream.backoff_max_s": 0.1,
        "stream.max_reconnect_attempts": 1000,
    }
    for name, symbols in exchanges.items():
        overrides[f"exchanges.{name}.symbols"] = symbols
        overrides[f"exchanges.{name}.channels"] = ["book.50"]
        for side, url in simulator.endpoints(name).items():
            overrides[f"exchanges.{name}.endpoints.{side}"] = url
    return make_collector(load_settings(overrides=overrides, environ={}, env_file=None))


def states(collector: Collector) -> dict[tuple[str, str], str]:
    return {(one.key.exchange, one.key.symbol): one.state for one in collector.view().asked}


def table(collector: Collector) -> str:
    view = collector.view()
    return "\n".join(str(line) for line in draw(view, [None] * len(view.streams), 0, 120, 40).renderables)


def test_an_exchange_that_refuses_from_the_start_is_missing_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "live.db"
    with ExitStack() as stack:
        simulator = stack.enter_context(
            Simulator(symbols={"bybit": [BTC], "binance": [SPOT]}, updates_per_s=100.0)
        )
        simulator.faults.rest_status("binance", 503, count=100_000)
        collector = collector_of(simulator, database, {"bybit": [BTC], "binance": ["BTCUSDT"]})
        collector.start()
        stack.callback(collector.stop)
        here, there = ("bybit", BTC), ("binance", "BTCUSDT")
        wait_until(lambda: states(collector) == {here: "verified", there: "missing"}, "one of two")
        wait_until(lambda: collector.view().unreached, "told that it cannot be reached")
        reasons = list(reasons_of(collector.view()))
        assert "binance BTCUSDT book.50: missing" in reasons
        assert any(reason.startswith("no answer from binance at http") for reason in reasons)
        told = status_text(collector.view())
        assert told.startswith("1 of 2 streams verified")
        assert told.endswith("; missing: binance BTCUSDT")
        assert "1 of 2 streams verified" in table(collector)
        absent = [("binance", "BTCUSDT", "book.50")]
        wait_until(lambda: missing(database) == absent, "rows of the one that is there")
        simulator.faults._world.rest_faults.clear()
        wait_until(lambda: set(states(collector).values()) == {"verified"}, "both")
        assert list(reasons_of(collector.view())) == []
        assert status_text(collector.view()).startswith("2 of 2 streams verified")
        wait_until(lambda: missing(database) == [], "rows of both")
    assert status(db=str(database)) == 0
    assert "missing" not in capsys.readouterr().out


def test_a_market_that_is_gone_at_the_next_start_is_missing_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "live.db"
    with Simulator(symbols={"bybit": [BTC, ETH, SOL]}, updates_per_s=100.0) as simulator:
        first = collector_of(simulator, database, {"bybit": [BTC, ETH, SOL]})
        first.start()
        try:
            wait_until(lambda: list(states(first).values()) == ["verified"] * 3, "all three")
        finally:
            first.stop()
        simulator.faults.delist("bybit", SOL)
        second = collector_of(simulator, database, {"bybit": [BTC, ETH, SOL]})
        second.start()
        try:
            wait_until(lambda: list(states(second).values()).count("verified") == 2, "two of three")
            assert states(second)["bybit", SOL] == "missing"
            assert f"bybit {SOL} book.50: missing" in list(reasons_of(second.view()))
            assert status_text(second.view()).startswith("2 of 3 streams verified")
            assert f"missing: bybit {SOL}" in status_text(second.view())
            assert "2 of 3 streams verified" in table(second)
            wait_until(lambda: second.view().writer.rows, "rows")
        finally:
            second.stop()
    capsys.readouterr()
    assert status(db=str(database)) == 0
    shown = capsys.readouterr().out
    assert "1 stream configured and not collected: marked `missing` above" in shown
    assert status(db=str(database), as_json=True) == 0
    found = {one["symbol"]: one["missing"] for one in json.loads(capsys.readouterr().out)}
    assert (found[BTC], found[ETH], found[SOL]) == (False, False, True)


def test_a_market_that_nobody_asks_for_any_more_counts_no_longer(tmp_path: Path) -> None:
    with Simulator(symbols={"bybit": [BTC, ETH]}, updates_per_s=100.0) as simulator:
        collector = collector_of(simulator, tmp_path / "live.db", {"bybit": ["BTCUSDT"]})
        collector.start()
        try:
            wait_until(lambda: states(collector) == {("bybit", BTC): "verified"}, "the first")
            collector.subscribe("bybit", "ethusdt")
            wait_until(lambda: list(states(collector).values()) == ["verified"] * 2, "both")
            collector.unsubscribe("bybit", BTC)
            assert states(collector) == {("bybit", ETH): "verified"}
            assert list(reasons_of(collector.view())) == []
            assert "1 of 1 streams verified" in table(collector)
        finally:
            collector.stop()
