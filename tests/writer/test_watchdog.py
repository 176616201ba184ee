"""A call that takes too long is acted upon from outside, one that does not is left alone."""

import threading
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
