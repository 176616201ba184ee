"""Act on calls that take too long, from a separate thread: a call that hangs cannot do it itself."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

STALL_S = 1.0  # who wakes so much later than he asked for was held up by the machine

Step = tuple[float, Callable[[], None]]  # so many seconds after a call began, while it lasts


class Watchdog:
    """Acts while a call takes too long. One call at a time; starting one costs no switch of threads."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = sorted(steps, key=lambda step: step[0])
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._changed = threading.Condition()
        # Guarded by _changed: all below.
        self._began_s: float | None = None
        self._calls = 0
        self._sleeps = False  # without an end: nothing was under way when it last looked
        self._closed = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the call made in the block."""
        with self._changed:
            self._began_s = time.monotonic()
            self._calls += 1
            if self._sleeps:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._began_s = None

    def stop(self) -> None:
        """End the thread. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._sleeps = self._began_s is None
                while self._began_s is None and not self._closed:
                    self._changed.wait()
                self._sleeps = False
                if self._closed:
                    return
                call = self._calls
            for after_s, act in self._steps:
                if not self._lasts(call, after_s):
                    break
                act()
            else:
                after_s, act = self._steps[-1]
                times = 2
                while self._lasts(call, after_s * times):  # the first time may have come between two calls
                    act()
                    times += 1

    def _lasts(self, call: int, after_s: float) -> bool:
        """Wait until the call has taken so long; False when it is over before."""
        with self._changed:
            while not self._closed and self._began_s is not None and self._calls == call:
                left_s = self._began_s + after_s - time.monotonic()
                if left_s <= 0:
                    return True
                self._wait(min(left_s, self._steps[0][0]), call)
            return False

    def _wait(self, seconds: float, call: int) -> None:
        """Wait; a time in which the whole machine stood still is not taken for the call's."""
        until_s = time.monotonic() + seconds
        self._changed.wait(seconds)
        stood_s = time.monotonic() - until_s
        if stood_s > STALL_S and self._began_s is not None and self._calls == call:
            self._began_s += stood_s
