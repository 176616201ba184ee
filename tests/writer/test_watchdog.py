"""A call that takes too long is acted upon from outside, one that does not is left alone."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from collector.writer.watchdog import Step, Watchdog

WAIT_S = 10.0


@contextmanager
def watching(*steps: Step) -> Iterator[Watchdog]:
    watchdog = Watchdog(steps)
    watchdog.start()
    try:
        yield watchdog
    finally:
        watchdog.stop()
        watchdog.stop()


def test_each_step_comes_in_its_time_and_the_last_again_and_again() -> None:
    seen: list[str] = []
    enough = threading.Event()

    def last() -> None:
        seen.append("last")
        if len(seen) > 3:
            enough.set()

    with watching((0.02, last), (0.01, lambda: seen.append("first"))) as watchdog, watchdog.watched():
        assert enough.wait(WAIT_S)
    assert seen[:4] == ["first", "last", "last", "last"]


def test_calls_that_are_quick_are_left_alone_and_a_slow_one_after_them_is_noticed() -> None:
    noticed = threading.Event()
    with watching((0.3, noticed.set)) as watchdog:
        for _ in range(1000):
            with watchdog.watched():
                pass
        assert not noticed.is_set()
        with watchdog.watched():
            assert noticed.wait(WAIT_S)


def test_what_a_call_raises_ends_the_watch() -> None:
    noticed = threading.Event()
    with watching((0.05, noticed.set)) as watchdog:
        with pytest.raises(ValueError, match="bad"), watchdog.watched():
            raise ValueError("bad")
        assert not noticed.wait(0.2)


def test_a_call_that_takes_its_time_is_left_alone() -> None:
    acts: list[str] = []
    watchdog = Watchdog([(30.0, lambda: acts.append("acted")), (60.0, lambda: acts.append("again"))])
    watchdog.start()
    with watchdog.watched():
        time.sleep(0.1)  # long enough for its thread to look
    watchdog.stop()
    assert acts == []


def test_a_call_that_lasts_on_is_acted_upon_again_each_time_that_it_has_taken_as_long_once_more() -> None:
    acts: list[str] = []
    watchdog = Watchdog([(5.0, lambda: acts.append("early")), (10.0, lambda: acts.append("late"))])
    asked: list[float] = []

    def lasts(_call: int, after_s: float) -> bool:
        asked.append(after_s)
        watchdog._closed = len(asked) == 5
        return len(asked) < 5

    watchdog._lasts = lasts  # type: ignore[method-assign]
    watchdog._began_s = time.monotonic()
    watchdog.start()
    watchdog._thread.join(10.0)
    assert not watchdog._thread.is_alive()
    assert asked == [5.0, 10.0, 20.0, 30.0, 40.0]
    assert acts == ["early", "late", "late", "late"]


def test_a_time_in_which_the_machine_stood_still_is_not_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = [0]
    stood_s = [0.0]

    class Time:
        """The monotonic clock of a machine that stands still for a while."""

        @staticmethod
        def monotonic() -> float:
            looked[0] += 1
            return time.monotonic() + stood_s[0]

    monkeypatch.setattr("collector.writer.watchdog.time", Time)
    begun, broken_off = threading.Event(), threading.Event()
    with watching((0.05, begun.set), (60.0, broken_off.set)) as watchdog, watchdog.watched():
        assert begun.wait(WAIT_S)
        stood_s[0] = 600.0
        before = looked[0]
        until_s = time.monotonic() + WAIT_S
        while looked[0] < before + 6:  # it has seen the time that is gone, and waits on
            assert time.monotonic() < until_s
            time.sleep(0.01)
        assert not broken_off.is_set()
