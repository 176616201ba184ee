"""The websocket thread: feeds run in its loop until it is asked to stop, whatever becomes of one of them."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from collector.clock import Clock
from collector.errors import CollectorError
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.events.notices import ClockStep, PotentialHalt, StreamNow
from collector.live import insisting
from collector.live import thread as module
from collector.live.thread import StreamThread
from collector.retry import Backoff

DEADLINE_S = 60.0
KEY = StreamKey("bybit", "BTC/USDT", "book.50")


class FakeStream:
    def glance(self) -> StreamNow:
        return StreamNow(KEY, True, 1.0, 2.0)


class FakeFeed:
    """A feed that runs until it is stopped, once it has raised what it has to raise."""

    exchange = "bybit"
    is_idle = False

    def __init__(self, *errors: Exception) -> None:
        self.stopped = False
        self.ran_in = ""
        self.runs = 0
        self.steps_ns: list[int] = []
        self._errors = list(errors)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        self.ran_in = threading.current_thread().name
        self.runs += 1
        if self._errors:
            raise self._errors.pop(0)
        await self._stop.wait()

    def stop(self) -> None:
        self.stopped = True
        self._stop.set()

    def clock_stepped(self, step_ns: int) -> None:
        self.steps_ns.append(step_ns)

    frames = 0

    def streams(self) -> list["FakeStream"]:
        return [FakeStream()]


class Rig:
    def __init__(self, *errors: Exception) -> None:
        self.events = EventBus()
        self.feeds: list[FakeFeed] = []
        self.ended = threading.Event()
        self.clocks: list[Clock] = []
        self.thread = StreamThread(self._make, self.events, self.ended.set)
        self._errors = errors

    def _make(self, clock: Clock) -> list[FakeFeed]:
        self.clocks.append(clock)
        self.feeds = [FakeFeed(), FakeFeed(*self._errors)]
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


def test_a_feed_that_fails_runs_again_and_the_other_never_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEED_BACKOFF", Backoff(0.0, 0.0))
    monkeypatch.setattr(insisting, "LEAST_WAIT_S", 0.0)
    rig = Rig(ValueError("ours"), KeyError("altname"))
    halts: list[PotentialHalt] = []
    rig.events.attach(PotentialHalt, halts.append)
    rig.thread.start()
    wait_until(lambda: rig.feeds[1].runs == 3)
    assert (rig.feeds[0].runs, rig.thread.alive) == (1, True)
    rig.thread.ask_to_stop()
    assert rig.thread.join(DEADLINE_S)
    assert rig.thread.failure is None
    assert [(one.exchange, one.code) for one in halts] == [("bybit", "internal_error")] * 2
    assert halts[1].reason.startswith("KeyError('altname') in run (test_thread.py:")


def test_a_feed_that_cannot_be_stopped_does_not_keep_the_others_from_it() -> None:
    rig = Rig()
    halts: list[PotentialHalt] = []
    rig.events.attach(PotentialHalt, halts.append)
    rig.thread.start()
    stop = rig.feeds[0].stop

    def broken() -> None:
        stop()
        raise ValueError("ours")

    rig.feeds[0].stop = broken  # type: ignore[method-assign]
    rig.thread.ask_to_stop()
    assert rig.thread.join(DEADLINE_S)
    assert all(feed.stopped for feed in rig.feeds)
    assert [one.code for one in halts] == ["internal_error"]


def test_the_thread_ends_only_when_asked_to() -> None:
    rig = Rig()
    rig.thread.start()
    rig.thread.call(lambda: [feed.stop() for feed in rig.feeds], DEADLINE_S)
    assert not rig.ended.wait(0.2)
    assert rig.thread.call(lambda: 1, DEADLINE_S) == 1
    rig.thread.ask_to_stop()
    assert rig.thread.join(DEADLINE_S)


def test_it_is_idle_only_where_no_exchange_has_anything_to_collect() -> None:
    rig = Rig()
    assert not rig.thread.is_idle  # there is no feed yet
    rig.thread.start()
    try:
        for idle, together in (((True, False), False), ((False, True), False), ((True, True), True)):
            for feed, is_idle in zip(rig.feeds, idle, strict=True):
                feed.is_idle = is_idle
            assert rig.thread.is_idle is together
    finally:
        rig.thread.ask_to_stop()
        assert rig.thread.join(DEADLINE_S)


def test_what_keeps_it_from_beginning_is_kept() -> None:
    error = ValueError("ours")
    ended = threading.Event()

    def broken(_clock: Clock) -> list[FakeFeed]:
        raise error

    thread = StreamThread(broken, EventBus(), ended.set)  # type: ignore[arg-type]
    thread.start()
    assert ended.wait(DEADLINE_S)
    assert thread.join(DEADLINE_S)
    assert thread.failure is error


def test_twenty_ends_while_others_ask_raise_nothing_but_our_own_error() -> None:
    """A live table or a bot's health check asks at any moment, also while the loop is being closed."""
    for _ in range(20):
        rig = Rig()
        rig.thread.start()
        raised: list[BaseException] = []
        answered = threading.Event()
        askers = [
            threading.Thread(target=ask_on, args=(rig.thread, raised, answered), daemon=True)
            for _ in range(3)
        ]
        for asker in askers:
            asker.start()
        assert answered.wait(DEADLINE_S)
        rig.thread.ask_to_stop()
        assert rig.thread.join(DEADLINE_S)
        for asker in askers:
            asker.join(DEADLINE_S)
            assert not asker.is_alive()
        assert raised == []


def ask_on(thread: StreamThread, raised: list[BaseException], answered: threading.Event) -> None:
    """Ask for as long as there is somebody who answers."""
    try:
        while thread.glances(DEADLINE_S) is not None:
            answered.set()
        with pytest.raises(CollectorError):
            thread.call(lambda: 1, DEADLINE_S)
        thread.ask_to_stop()
    except BaseException as error:  # noqa: BLE001  (the test looks)
        raised.append(error)


def test_a_question_that_waits_ends_with_the_thread() -> None:
    """The loop is busy, is asked to end, and ends before it comes to the question."""
    rig = Rig()
    rig.thread.start()
    busy, free = threading.Event(), threading.Event()

    def occupy() -> None:
        busy.set()
        free.wait(DEADLINE_S)

    occupying = threading.Thread(target=rig.thread.call, args=(occupy, DEADLINE_S))
    occupying.start()
    assert busy.wait(DEADLINE_S)
    rig.thread.ask_to_stop()
    raised: list[BaseException] = []
    asker = threading.Thread(target=ask_on, args=(rig.thread, raised, threading.Event()))
    asker.start()
    wait_until(lambda: len(rig.thread._asked) == 2)
    free.set()
    for one in (occupying, asker):
        one.join(DEADLINE_S)
        assert not one.is_alive()
    assert rig.thread.join(DEADLINE_S)
    assert raised == []


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
    assert rig.thread.failure is None
    assert [[round(step_ns / 1e9) for step_ns in feed.steps_ns] for feed in rig.feeds] == [[3600], [3600]]


def test_a_feed_that_a_step_breaks_does_not_keep_it_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOCK_CHECK_S", 0.01)
    rig = Rig()
    halts: list[PotentialHalt] = []
    rig.events.attach(PotentialHalt, halts.append)
    rig.thread.start()

    def broken(_step_ns: int) -> None:
        raise ValueError("ours")

    rig.feeds[0].clock_stepped = broken  # type: ignore[method-assign]
    rig.clocks[0]._wall_ns = lambda: time.time_ns() + 3600 * 10**9
    wait_until(lambda: rig.feeds[1].steps_ns)
    rig.thread.ask_to_stop()
    assert rig.thread.join(DEADLINE_S)
    assert rig.thread.failure is None
    assert [one.code for one in halts] == ["internal_error"]
