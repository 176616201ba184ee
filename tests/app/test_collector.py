"""One collector from start to stop, and what it says of itself; each misuse in words."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.app.report import Report
from collector.app.wiring import make_collector
from collector.errors import CollectorError, UserError
from collector.events import EventBus, State, SystemState
from collector.settings import Settings, load_settings
from collector.simulator import Simulator
from collector.sinks.contract import AccountingState

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import BTC, ETH, wait_until


def settings_of(simulator: Simulator | None, url: str, **more: object) -> Settings:
    overrides: dict[str, object] = {"database.url": url, "writer.interval_s": 0.05, **more}
    if simulator is not None:
        overrides["exchanges.bybit.symbols"] = [BTC]
        overrides["exchanges.bybit.channels"] = ["book.50", "trade"]
        overrides["exchanges.bybit.endpoints"] = simulator.endpoints("bybit")
    return load_settings(overrides=overrides, environ={}, env_file=None)


def test_keys_that_collecting_does_not_use_are_told() -> None:
    markets: dict[str, object] = {f"exchanges.{name}.symbols": [BTC] for name in ("bybit", "okx")}
    keys = {"BYBIT_API_KEY": "key-of-mine", "BYBIT_API_SECRET": "secret-of-mine"}
    with capture_logs() as logs:
        make_collector(load_settings(overrides=markets, environ=keys, env_file=None))
        make_collector(load_settings(overrides=markets, environ={}, env_file=None))
    told = [one for one in logs if one["event"] == "api_keys.not_used"]
    assert [(one["exchanges"], one["log_level"]) for one in told] == [(["bybit"], "info")]
    assert "doctor" in told[0]["used_by"]
    assert "of-mine" not in str(logs)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Collect for a moment; what was seen on the way."""
    folder = tmp_path_factory.mktemp("app")
    seen: dict[str, Any] = {"ended": threading.Event()}
    with Simulator(updates_per_s=200.0) as simulator:
        collector = make_collector(
            settings_of(simulator, str(folder / "live.db"), **{"exchanges.bybit.sample": {"mode": "every"}}),
            on_end=seen["ended"].set,
        )
        seen["before"] = collector.view()
        collector.start()
        wait_until(lambda: collector.view().writer.rows > 50, "rows")
        seen["view"] = collector.view()
        with pytest.raises(UserError) as elsewhere:
            collector.subscribe("kraken", "BTC/USD")
        with pytest.raises(UserError) as unknown:
            collector.check_symbols("bybit", "NOPE")
        seen["errors"] = str(elsewhere.value), str(unknown.value)
        seen["added"] = collector.subscribe("bybit", ETH)
        seen["again"] = collector.subscribe("bybit", ETH)
        seen["removed"] = collector.unsubscribe("bybit", ETH)
        assert not collector.wait(0.0)
        collector.interrupt()
        assert collector.wait(10.0)
        seen["report"] = collector.stop()
        assert collector.stop() is seen["report"]
        seen["after"] = collector.view()
    return seen


def test_a_session_ends_with_every_event_accounted_for(collected: dict[str, Any]) -> None:
    report: Report = collected["report"]
    assert (report.exact, report.good, report.problems, report.waiting) == (True, True, (), 0)
    assert report.batches > 0
    assert report.seconds > 0.0
    streams = {state.channel for state in report.accounting if state.symbol == BTC}
    assert streams == {"book.50", "trade"}
    assert report.spool.endswith("live.db-spool")
    assert collected["ended"].is_set()


def test_a_view_shows_a_running_collector(collected: dict[str, Any]) -> None:
    view = collected["view"]
    assert view.answers
    assert view.uptime_s > 0.0
    assert view.database.endswith("live.db")
    books = [one for one in view.collected if one.key.channel == "book.50"]
    assert [(one.key.symbol, one.state) for one in books] == [(BTC, "verified")]
    assert books[0].glance.bid < books[0].glance.ask
    assert list(view.connections.values()) == ["connected"]
    assert (view.writer.breaker, view.writer.last_error, view.writer.spilling) == ("closed", None, False)
    assert view.writer.buffer_max_rows == 100_000 or view.writer.buffer_max_rows > 1000
    assert (view.refused, view.halts, view.last_halt) == ((), 0, None)
    assert not collected["before"].answers
    assert not collected["after"].answers


def test_markets_come_and_go_by_their_names(collected: dict[str, Any]) -> None:
    assert {(key.symbol, key.channel) for key in collected["added"]} == {(ETH, "book.50"), (ETH, "trade")}
    assert collected["again"] == []
    assert set(collected["removed"]) == set(collected["added"])
    elsewhere, unknown = collected["errors"]
    assert elsewhere == "kraken is not collected; expected one of bybit"
    assert "'NOPE' is not a market there" in unknown


def test_what_cannot_be_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to collect: no symbol is configured"):
        make_collector(settings_of(None, str(tmp_path / "live.db")))
    with Simulator() as simulator:
        collector = make_collector(settings_of(simulator, str(tmp_path / "live.db")))
        assert not collector.started
        with pytest.raises(CollectorError, match="stop before start"):
            collector.stop()
        (tmp_path / "live.db").write_bytes(b"no database" * 1000)
        with pytest.raises(UserError, match="file is not a database"):
            collector.start()
        assert not collector.started


def report(**terms: Any) -> Report:
    waiting, problems = terms.pop("waiting", 0), terms.pop("problems", ())
    return Report("s", (AccountingState("s", "bybit", BTC, "trade", **terms),), 1, 1.0, problems, waiting)


@pytest.mark.parametrize(
    ("found", "exact", "good"),
    [
        (report(received=5, written=5), True, True),
        (report(received=5, written=4), False, False),
        (report(received=5, written=4, dropped=1), True, False),
        (report(received=5, written=3, pending=2, waiting=2), True, True),
        (report(received=5, written=3, pending=2, waiting=1), True, False),
        (report(received=5, written=5, problems=("why",)), True, False),
    ],
)
def test_a_session_is_good_if_nothing_that_was_accepted_is_lost(
    found: Report, exact: bool, good: bool
) -> None:
    assert (found.exact, found.good) == (exact, good)


def test_a_thread_that_dies_is_told_as_a_state_of_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("collector.app.wiring.make_feeds", broken)
    events, told = EventBus(), list[SystemState]()
    events.attach(SystemState, told.append)
    with Simulator() as simulator:
        collector = make_collector(settings_of(simulator, str(tmp_path / "live.db")), events=events)
        collector.start()
        assert collector.wait(10.0)
        report = collector.stop()
    assert [(one.exchange, one.connection, one.state) for one in told] == [("", "websocket", State.ERROR)]
    assert told[0].cause.startswith("RuntimeError('a fault of ours') in broken")
    assert collector.view().connections == {}
    assert not report.good
