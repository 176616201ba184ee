"""Hand the interpreter over sooner than Python would, while a bot waits to hear and another thread computes.

A thread that wants the interpreter asks the one that has it to hand it over after `sys.getswitchinterval()`,
5 ms: for so long a frame would wait for the writer, and then the handler of its update. Short turns cost
little where threads are idle most of the time, and much where all of them are busy.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

Result = TypeVar("Result")

TURN_S = 10e-6
SAME_S = 1e-6  # the interpreter keeps whole microseconds
MOST_A_SECOND = 8_000  # rows: where more come, threads are busy
LEAST_S = 0.05  # over which their rate is looked at


class SwitchInterval:
    """The switch interval of a process: short while anybody asks for it, then as it was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Guarded by _lock: all below.
        self._askers = 0
        self._usual_s = 0.0

    @contextmanager
    def short(self) -> Iterator[None]:
        """Keep it short meanwhile."""
        with self._lock:
            self._askers += 1
            if self._askers == 1:
                self._usual_s = sys.getswitchinterval()
                if self._usual_s > TURN_S:
                    sys.setswitchinterval(TURN_S)
        try:
            yield
        finally:
            with self._lock:
                self._askers -= 1
                is_ours = abs(sys.getswitchinterval() - TURN_S) < SAME_S  # else the program's own choice
                if not self._askers and is_ours:
                    sys.setswitchinterval(self._usual_s)


_of_this_process = SwitchInterval()


class Turns:
    """When the steps of one thread have short turns: while a bot hears, and not too much comes."""

    def __init__(
        self,
        heard: Callable[[], int | None],  # how many rows came so far; None while nobody hears of them
        *,
        now_s: Callable[[], float] = time.monotonic,
        interval: SwitchInterval = _of_this_process,
    ) -> None:
        self._heard = heard
        self._now_s = now_s
        self._interval = interval
        self._waits = [(now_s(), heard() or 0)] * 2  # the last two: when each began, what had come

    def wait(self, wait: Callable[[float], Result], timeout_s: float) -> Result:
        """Wait until there is something to do, or the time is over."""
        self._waits = [self._waits[1], (self._now_s(), self._heard() or 0)]
        return wait(timeout_s)

    def step(self) -> AbstractContextManager[None]:
        """Return the context of a step."""
        heard = self._heard()
        if heard is None or any(self._came_fast(heard, *since) for since in self._waits):
            return nullcontext()
        return self._interval.short()

    def _came_fast(self, heard: int, since_s: float, heard_before: int) -> bool:
        return heard - heard_before > MOST_A_SECOND * max(self._now_s() - since_s, LEAST_S)
