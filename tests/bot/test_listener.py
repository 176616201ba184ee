"""A listener has an ingestor's events and ticks, makes no file, and keeps nothing of what came."""

import asyncio
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector import (
    BookVerified,
    L2Update,
    Listener,
    PotentialHalt,
    SettingsError,
    Tick,
    Trade,
    UserError,
    load_features,
)
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import BTC, threads, wait_until


def listening(simulator: Simulator, **more: Any) -> Listener:
    return Listener(
        {
            "exchange": "bybit",
            "symbol": BTC,
            "channels": ["trade", "ohlcv.1m"],
            "write_interval": 0.1,
            "reconnect_delay": 0.05,
            "endpoints": simulator.endpoints("bybit"),
            **more,
        }
    )


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(updates_per_s=250.0) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in an empty folder, and have one for the state of programs: whatever file is made is made there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path


def test_events_and_ticks_come_and_no_file_is_made(simulator: Simulator, folder: Path) -> None:
    updates, ticks, trades = list[L2Update](), list[Tick](), list[Trade]()
    listener = listening(simulator, serve_port=0)
    listener.add_update_callback(updates.append)
    end = listener.add_tick_callback(ticks.append, name="mine")
    listener.events.subscribe(Trade, trades.append)
    with listener:
        wait_until(lambda: len(updates) > 20 and len(ticks) > 5, "updates and ticks")
        assert listener.is_healthy()
        assert listener.ticks.get("btcusdt") is not None
        stats = listener.get_stats()
        assert "mine" in {one["name"] for one in stats["callbacks"]}
        end()
    report = listener.report
    assert report is not None
    assert (report.exact, report.good, report.spool) == (True, True, "")
    stats = listener.get_stats()
    assert stats["received"] == stats["sampled_out"] + stats["merged"] + stats["rejected_total"] > 20
    assert (stats["written"], stats["dropped"], stats["pending"], stats["commits"]) == (0, 0, 0, 0)
    assert stats["database"] == "nowhere"
    assert [one.trade_id for one in ticks] == [one.trade_id for one in trades[: len(ticks)]]
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert threads() == []


def test_what_came_is_counted_once_a_second_however_often_rows_would_be_written(
    simulator: Simulator,
) -> None:
    updates = list[L2Update]()
    listener = listening(simulator)
    listener.add_update_callback(updates.append)
    with listener:
        wait_until(lambda: updates, "an update")
        collector = listener._collector
        assert collector is not None
        began_s, before, heard = time.monotonic(), collector.writer.committed.batches, len(updates)
        wait_until(lambda: len(updates) > heard + 200, "updates")
        batches = collector.writer.committed.batches - before
        assert batches <= 3 * (time.monotonic() - began_s) + 1  # ten a second, were they stored


def test_a_gap_is_told_and_the_book_is_verified_again(simulator: Simulator) -> None:
    halts, again = list[PotentialHalt](), list[BookVerified]()
    listener = listening(simulator, max_mismatches=1)
    listener.events.subscribe(PotentialHalt, halts.append)
    listener.events.subscribe(BookVerified, again.append)
    with listener:
        simulator.faults.gap("bybit", BTC)
        wait_until(lambda: halts and again, "an alarm and its end")
        book = next(one for one in listener.get_stats()["streams"] if one["channel"].startswith("book"))
    assert {one.code for one in halts} == {"sequence_gap"}
    assert again[0].cause == "sequence_gap"
    assert book["gaps"] == 1


def test_more_markets_are_listened_to_while_it_runs(simulator: Simulator) -> None:
    with listening(simulator) as listener:
        added = listener.subscribe("ethusdt")
        wait_until(lambda: listener.ticks.get("ethusdt") is not None, "a tick of it")
        assert {one.symbol for one in added} == {"ETH/USDT:USDT"}
        assert listener.unsubscribe("ethusdt") == added


def test_a_tick_from_elsewhere_is_handed_to_the_callbacks(simulator: Simulator) -> None:
    ticks, came = list[Tick](), threading.Event()
    mine = Tick("MYUSDT", 1.0, 2.0, datetime(2026, 1, 1, tzinfo=UTC), "1")

    def keep(tick: Tick) -> None:
        ticks.append(tick)
        if tick == mine:
            came.set()

    listener = listening(simulator, channels=[])
    listener.add_tick_callback(keep)
    with listener:
        listener.process_tick(mine)
        assert came.wait(10.0)
        assert listener.ticks.get("myusdt") == mine
    assert ticks == [mine]


def test_what_needs_a_database_is_answered_in_words(simulator: Simulator) -> None:
    listener = listening(simulator)
    with pytest.raises(UserError, match="a Listener has no database; expected a DataIngestor"):
        load_features(listener, BTC)
    with pytest.raises(SettingsError, match="did you mean symbol"):
        Listener({"symbols": BTC})


def test_coroutines_are_run_on_the_loop_in_which_it_is_entered(simulator: Simulator) -> None:
    async def listen() -> list[Tick]:
        ticks, enough = list[Tick](), asyncio.Event()

        async def keep(tick: Tick) -> None:
            ticks.append(tick)
            if len(ticks) == 3:
                enough.set()

        async with listening(simulator) as listener:
            listener.add_tick_callback(keep)
            async with asyncio.timeout(20.0):
                await enough.wait()
        return ticks

    assert len(asyncio.run(listen())) >= 3
    assert threads() == []


def test_it_starts_again_after_a_stop(simulator: Simulator) -> None:
    listener = listening(simulator)
    for _ in range(2):
        assert listener.start(), listener.start_failure
        assert listener.stop()
    assert listener.phase == "stopped"


def size_but_of_the_simulator() -> int:
    """Return the bytes in use now; the simulator remembers what it sent."""
    found = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, "*/simulator/*")])
    return sum(one.size for one in found.statistics("filename"))


@pytest.mark.proof
def test_memory_stays_flat_however_much_comes() -> None:
    counted = [0]

    def count(_update: L2Update) -> None:
        counted[0] += 1

    with Simulator(updates_per_s=500.0) as simulator, listening(simulator) as listener:
        listener.add_update_callback(count)
        tracemalloc.start()
        sizes = []
        for most in (2_000, 4_000, 8_000):
            wait_until(lambda most=most: counted[0] > most, "more updates")  # type: ignore[misc]
            listener.get_stats()
            sizes.append(size_but_of_the_simulator())
        tracemalloc.stop()
    _, before, after = sizes
    assert after - before < 200_000, sizes  # 4,000 updates of ten levels are 1.4 MB


def test_it_counts_once_a_second_however_often_it_would_store(simulator: Simulator) -> None:
    with listening(simulator) as bot:
        assert bot._collector is not None
        assert bot._collector.writer._limits.writer.interval_s == 1.0
        wait_until(lambda: bot.get_stats()["sampled_out"] > 0, "a count")
