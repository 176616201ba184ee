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

TURN_S = 10e-6
SAME_S = 1e-6  # the interpreter keeps whole microseconds
BUSY_SHARE = 0.15  # of the time: a writer that computes for longer has no short turns


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
    """When the steps of one thread have short turns: while a bot hears, and the thread is not busy."""

    def __init__(
        self,
        is_heard: Callable[[], bool],
        *,
        now_s: Callable[[], float] = time.monotonic,
        cpu_s: Callable[[], float] = time.thread_time,
        interval: SwitchInterval = _of_this_process,
    ) -> None:
        self._is_heard = is_heard
        self._now_s = now_s
        self._cpu_s = cpu_s
        self._interval = interval
        self._waits = [(now_s(), 0.0)] * 2  # the last two: when each began, and what was computed until then

    def wait(self, wait: Callable[[float], object], timeout_s: float) -> None:
        """Wait until there is something to do, or the time is over."""
        self._waits = [self._waits[1], (self._now_s(), self._cpu_s())]
        wait(timeout_s)

    def step(self) -> AbstractContextManager[None]:
        """Return the context of a step."""
        if self._is_heard() and not self._is_busy():
            return self._interval.short()
        return nullcontext()

    def _is_busy(self) -> bool:
        """Return whether it has computed for much of the time since the wait before the last began."""
        since_s, since_cpu_s = self._waits[0]
        return self._cpu_s() - since_cpu_s > BUSY_SHARE * (self._now_s() - since_s)
