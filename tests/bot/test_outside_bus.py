"""An ingestor on an event bus that the program has for other things too."""

import sys
from pathlib import Path

import pytest

from collector import EventBus, IngestorError, L2Update, SystemState, create_data_ingestor
from collector.events.notices import ClockStep
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import BTC, config, threads, wait_until


def test_it_publishes_there_and_leaves_the_bus_as_it_was(tmp_path: Path) -> None:
    bus = EventBus()
    updates: list[L2Update] = []
    steps: list[ClockStep] = []
    attached: list[L2Update] = []
    bus.subscribe(L2Update, updates.append, name="mine")
    bus.subscribe(ClockStep, steps.append)
    bus.attach(L2Update, attached.append)
    bus.start()
    with Simulator(updates_per_s=250.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path), events=bus)
        assert ingestor.events is bus
        with ingestor:
            wait_until(lambda: len(updates) > 20, "updates on the bus")
            top = ingestor.ticks.top(BTC)
            assert top is not None
    assert ingestor.report is not None
    assert ingestor.report.good
    assert not bus.wanted(SystemState)  # what was attached for the session is gone
    assert bus.wanted(L2Update)
    bus.publish(ClockStep(1, 0.0))
    wait_until(lambda: steps, "the bus runs on")
    before = len(attached)
    bus.publish(updates[0])
    assert len(attached) == before + 1
    bus.stop()
    assert threads() == []


def test_one_that_nobody_started_stops_with_the_ingestor(tmp_path: Path) -> None:
    bus = EventBus()
    with Simulator(updates_per_s=250.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path), events=bus)
        bus.subscribe(L2Update, lambda _: None)
        with ingestor:
            pass
    assert threads() == []


def test_two_ingestors_share_one_and_each_leaves_the_others_events(tmp_path: Path) -> None:
    bus = EventBus()
    seen: dict[str, int] = {"bybit": 0, "kraken": 0}
    errors: list[IngestorError] = []

    def count(update: L2Update) -> None:
        seen[update.exchange] += 1
        if seen[update.exchange] == 10:
            raise ValueError(update.exchange)

    bus.subscribe(L2Update, count, name="count")
    bus.subscribe(IngestorError, errors.append, name="errors")
    with Simulator(updates_per_s=250.0) as simulator:
        made = []
        for exchange, symbol in (("bybit", BTC), ("kraken", "BTC/USD")):
            folder = tmp_path / exchange
            folder.mkdir()
            words = config(simulator, folder, exchange=exchange, symbol=symbol)
            made.append(create_data_ingestor(words, events=bus))
        first, second = made
        assert first.start(), first.start_failure
        assert second.start(), second.start_failure
        wait_until(lambda: min(seen.values()) > 20, "updates of both")
        assert sorted(str(one.cause) for one in errors) == ["bybit", "kraken"]  # told once, not by each
        assert first.stop()
        before = seen["kraken"]
        wait_until(lambda: seen["kraken"] > before + 20, "the other one goes on")
        assert second.is_healthy()
        assert second.stop()
    assert threads() == []


@pytest.mark.parametrize("end", ["bus", "ingestor"])
def test_a_bus_that_is_stopped_under_it_harms_nothing(tmp_path: Path, end: str) -> None:
    bus = EventBus()
    bus.subscribe(L2Update, lambda _: None)
    with Simulator(updates_per_s=250.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path), events=bus)
        assert ingestor.start()
        if end == "bus":
            bus.stop()
            wait_until(lambda: ingestor.get_stats()["written"] > 20, "it collects on")
        assert ingestor.stop()
        bus.stop()
    assert threads() == []
