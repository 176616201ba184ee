"""A program that does everything wrong that can be done with an ingestor, and what is left of it: nothing."""

import asyncio
import gc
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from collector import (
    CollectorError,
    DataIngestor,
    EventBus,
    IngestorError,
    L2Update,
    SettingsError,
    Trade,
    UserError,
    create_data_ingestor,
)
from collector.bot.stats import IngestorStats
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import BTC, ETH, config, threads, wait_until

DESCRIPTORS = Path("/proc/self/fd")


def descriptors() -> set[str]:
    gc.collect()
    found = set()
    for one in DESCRIPTORS.iterdir() if DESCRIPTORS.exists() else ():
        try:
            found.add(f"{one.name} {one.readlink()}")
        except OSError:  # it was the folder's own
            continue
    return found


@contextmanager
def polled(ingestor: DataIngestor, odd: list[str]) -> Iterator[None]:
    """Ask everything all the time, from threads of its own, in each moment of its life."""
    over = threading.Event()

    def ask() -> None:
        try:
            while not over.is_set():
                stats = ingestor.get_stats()
                time.sleep(0.02)
                if stats.keys() != IngestorStats.__annotations__.keys():
                    odd.append(f"keys {stats.keys()}")
                if stats["healthy"] and not all(one["state"] == "verified" for one in stats["streams"]):
                    odd.append("healthy, and not all verified")
                str(ingestor.is_healthy())
                with suppress(CollectorError):
                    ingestor.book(BTC)
        except BaseException as error:  # noqa: BLE001  (the test looks)
            odd.append(repr(error))

    askers = [threading.Thread(target=ask, name="Dummy") for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        yield
    finally:
        over.set()
        for asker in askers:
            asker.join(60.0)


def misuse_callbacks(ingestor: DataIngestor, never: threading.Event, heard: list[IngestorError]) -> None:
    async def broken(_update: L2Update) -> None:
        await asyncio.sleep(0)
        raise ValueError("mine")

    async def for_ever(_update: L2Update) -> None:
        await asyncio.Event().wait()

    def exits(_update: L2Update) -> None:
        sys.exit(1)

    def broken_too(_error: IngestorError) -> None:
        raise RuntimeError("who hears of errors raises one")

    def ends_itself(_trade: Trade) -> None:
        end()

    def starts_again(_update: L2Update) -> None:
        ingestor.start()  # it runs; or it is being stopped, and is told so

    def asks(_update: L2Update) -> None:
        ingestor.get_stats()
        ingestor.is_healthy()
        with_none = ingestor.ticks.top("NOPE")
        assert with_none is None

    ingestor.add_update_callback(broken, name="broken")
    ingestor.add_update_callback(for_ever, name="for ever", most_waiting=2)
    ingestor.add_update_callback(exits, name="exits")
    ingestor.add_update_callback(lambda _: never.wait(120.0), name="never", most_waiting=2)
    ingestor.add_update_callback(lambda _: time.sleep(0.02), name="slow", most_waiting=1)
    ingestor.add_update_callback(starts_again, name="starts")
    ingestor.add_update_callback(asks, name="asks")
    ingestor.add_error_callback(broken_too)
    ingestor.add_error_callback(heard.append)
    end = ingestor.events.subscribe(Trade, ends_itself)
    ingestor.bars("250ms").on_close(broken)
    for wrong in (None, "callback", 5):
        with pytest.raises(UserError, match="expected a function"):
            ingestor.add_update_callback(wrong)  # type: ignore[arg-type]


def misuse_calls(ingestor: DataIngestor, simulator: Simulator, folder: Path) -> None:
    calls: list[Callable[[], object]] = [
        lambda: ingestor.subscribe("NOPE"),
        lambda: ingestor.unsubscribe("NOPE"),
        lambda: ingestor.subscribe(BTC, exchange="kraken"),
        lambda: ingestor.book("NOPE"),
        lambda: ingestor.book(BTC, levels=-1),
        lambda: ingestor.bars("1 minute"),
        lambda: ingestor.start(wait_for="some"),  # type: ignore[arg-type]
        lambda: create_data_ingestor(None),  # type: ignore[arg-type]
        lambda: create_data_ingestor({"exchange": ["bybit", "kraken"]}),
        lambda: create_data_ingestor({"write_interval": "soon"}),
        lambda: create_data_ingestor({"symbol": ETH, "settings": {"exchanges.bybit.symbols": [BTC]}}),
    ]
    for call in calls:
        with pytest.raises((UserError, SettingsError)):
            call()

    async def in_a_loop() -> None:
        with pytest.raises(UserError, match="would block the event loop"):
            ingestor.stop()
        with pytest.raises(UserError, match="would block the event loop"):
            create_data_ingestor(config(simulator, folder)).start()

    asyncio.run(in_a_loop())
    second = create_data_ingestor(config(simulator, folder))
    assert not second.start()
    assert "this process" in str(second.start_failure)
    assert second.stop()
    assert ingestor.subscribe("ethusdt")
    assert ingestor.subscribe(ETH) == []
    assert ingestor.unsubscribe(ETH)


def misuse(simulator: Simulator, folder: Path) -> tuple[list[str], list[IngestorError], DataIngestor]:
    odd: list[str] = []
    heard: list[IngestorError] = []
    never = threading.Event()
    bus = EventBus(late_after_s=0.1)
    words = config(simulator, folder, channels=["trade"])
    ingestor = create_data_ingestor(words, events=bus)
    with polled(ingestor, odd):
        misuse_callbacks(ingestor, never, heard)
        assert ingestor.stop()  # before any start
        assert ingestor.start(), ingestor.start_failure
        assert ingestor.start()
        misuse_calls(ingestor, simulator, folder)
        wanted = {"callback_failed", "callback_stuck", "callback_slow"}
        wait_until(lambda: wanted <= {one.code for one in heard}, "all is told")
        slow = "callback_slow: slow "
        wait_until(lambda: [one for one in heard if str(one).startswith(slow)], "and by name")
        stops = [threading.Thread(target=ingestor.stop, name="Dummy") for _ in range(3)]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join(60.0)
        assert ingestor.phase == "stopped"
        never.set()
        wait_until(lambda: [one for one in threads() if one != "markets"] == [], "nothing runs")
        assert "never" in [one.subscriber for one in bus.deliveries()]  # they are still subscribed
        assert ingestor.start(wait_for="all"), ingestor.start_failure
        assert ingestor.stop()
        with sqlite3.connect(folder / "trading_bot_live.db") as other:
            other.execute("BEGIN EXCLUSIVE")
            assert not ingestor.start()  # another program has the file
            other.execute("ROLLBACK")
        other.close()
        assert "locked" in str(ingestor.start_failure)
        assert ingestor.stop()
    return odd, heard, ingestor


def test_everything_that_can_be_done_wrong_is_told_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with Simulator(updates_per_s=50.0) as simulator:
        with create_data_ingestor(config(simulator, tmp_path)):
            pass
        before = descriptors()  # with those that a process opens once
        began_s = time.monotonic()
        odd, heard, ingestor = misuse(simulator, tmp_path)
        assert time.monotonic() - began_s < 100.0
        assert odd == []
        assert ingestor.report is not None
        assert ingestor.report.good
        texts = {str(one) for one in heard}
        for words in (
            "callback_failed: broken raised ValueError('mine')",
            "callback_failed: bars 250ms on_close raised ValueError('mine')",
            "callback_failed: exits raised SystemExit(1): a callback cannot end the program",
            "callback_stuck: never has not returned for",
            "callback_stuck: for ever has not returned for",
            "callback_slow: slow is too slow for what comes",
        ):
            assert any(text.startswith(words) for text in texts), (words, texts)
        wait_until(lambda: not simulator.connections(), "the simulator has seen the sockets close")
        wait_until(lambda: [one for one in threads() if one != "markets"] == [], "no thread is left")
        wait_until(lambda: not (descriptors() - before), "no descriptor is left")
    with sqlite3.connect(tmp_path / "trading_bot_live.db") as connection:
        ends = connection.execute("SELECT DISTINCT end_cause FROM collector_sessions").fetchall()
    connection.close()
    assert ends == [("stop",)]
    assert "Traceback" not in capfd.readouterr().err
    assert "Traceback" not in caplog.text
    assert "subscriber.failed" in caplog.text
