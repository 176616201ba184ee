"""The websocket thread: feeds run in its loop until they are asked to stop, or one of them fails."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from collector.clock import Clock
from collector.errors import CollectorError
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.events.notices import ClockStep, StreamNow
from collector.live import thread as module
from collector.live.thread import StreamThread

DEADLINE_S = 10.0
KEY = StreamKey("bybit", "BTC/USDT", "book.50")


class FakeFeed:
    """A feed that runs until it is stopped, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.stopped = False
        self.ran_in = ""
        self._error = error
        self._stop = asyncio.Event()

    async def run(self) -> None:
        self.ran_in = threading.current_thread().name
        if self._error is not None:
            raise self._error
        await self._stop.wait()

    def stop(self) -> None:
        self.stopped = True
        self._stop.set()

    def glances(self) -> list[StreamNow]:
        return [StreamNow(KEY, True, 1.0, 2.0)]


class Rig:
    def __init__(self, error: Exception | None = None) -> None:
        self.events = EventBus()
        self.feeds: list[FakeFeed] = []
        self.ended = threading.Event()
        self.clocks: list[Clock] = []
        self.thread = StreamThread(self._make, self.events, self.ended.set)
        self._error = error

    def _make(self, clock: Clock) -> list[FakeFeed]:
        self.clocks.append(clock)
        self.feeds = [FakeFeed(), FakeFeed(self._error)]
        return self.feeds


def wait_until(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.002)


def test_feeds_run_in_the_thread_until_it_is_asked_to_stop() -> None:
    rig = Rig()
    rig.thread.ask_to_stop()  # before it began: nothing
    rig.thread.start()
    wait_until(lambda: all(feed.ran_in for feed in rig.feeds))
    assert {feed.ran_in for feed in rig.feeds} == {"websocket"}
    assert rig.thread.alive
    assert not rig.thread.join(0.0)
    assert rig.thread.call(lambda: threading.current_thread().name, DEADLINE_S) == "websocket"
    assert rig.thread.glances(DEADLINE_S) == [StreamNow(KEY, True, 1.0, 2.0)] * 2
    rig.thread.ask_to_stop()
    assert rig.thread.join(DEADLINE_S)
    assert all(feed.stopped for feed in rig.feeds)
    assert (rig.thread.failure, rig.ended.is_set(), rig.thread.alive) == (None, True, False)
    rig.thread.ask_to_stop()


def test_after_its_end_nothing_answers() -> None:
    rig = Rig()
    rig.thread.start()
    rig.thread.ask_to_stop()
    assert rig.thread.join(DEADLINE_S)
    assert rig.thread.glances(DEADLINE_S) is None
    with pytest.raises(CollectorError, match="does not run"):
        rig.thread.call(lambda: 1, DEADLINE_S)


def test_a_loop_that_is_busy_answers_in_time_or_not_at_all() -> None:
    rig = Rig()
    rig.thread.start()
    busy, free = threading.Event(), threading.Event()

    def occupy() -> None:
        busy.set()
        free.wait(DEADLINE_S)

    caller = threading.Thread(target=rig.thread.call, args=(occupy, DEADLINE_S))
    caller.start()
    assert busy.wait(DEADLINE_S)
    assert rig.thread.glances(0.01) is None
    free.set()
    caller.join(DEADLINE_S)
    rig.thread.ask_to_stop()
    assert rig.thread.join(DEADLINE_S)


def test_what_ends_the_thread_is_kept() -> None:
    error = ValueError("ours")
    rig = Rig(error)
    rig.thread.start()
    assert rig.ended.wait(DEADLINE_S)
    assert rig.thread.join(DEADLINE_S)
    assert rig.thread.failure is error


def test_a_wall_clock_that_was_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOCK_CHECK_S", 0.01)
    rig = Rig()
    steps: list[ClockStep] = []
    rig.events.attach(ClockStep, steps.append)
    rig.thread.start()
    rig.clocks[0]._wall_ns = lambda: time.time_ns() + 3600 * 10**9
    wait_until(lambda: steps)
    assert steps[0].step_s == pytest.approx(3600.0, abs=1.0)
    rig.thread.ask_to_stop()
    assert rig.thread.join(DEADLINE_S)
    assert len(steps) == 1
