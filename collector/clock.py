"""Stamp receipts: the wall clock at the start plus the monotonic clock since."""

import time
from collections.abc import Callable

BEGAN_S = time.monotonic()  # about when the process began: the command line imports this first
STEP_NS = 1_000_000_000  # the two clocks differ by more than this: the wall clock was stepped


class Clock:
    """Stamp instants in ns since the epoch, UTC, that never run backwards.

    Owned by one thread. `check` notices a stepped wall clock and anchors anew; a step back makes the
    stamps stand still (1 ns apart) until the wall clock has caught up, so that order is kept.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._offset_ns = wall_ns() - monotonic_ns()
        self._last_ns = 0

    def now_ns(self) -> int:
        """Return the instant, later than every one before."""
        now = self._offset_ns + self._monotonic_ns()
        if now <= self._last_ns:
            now = self._last_ns + 1
        self._last_ns = now
        return now

    def check(self) -> float | None:
        """Anchor again if the wall clock was stepped; returns the step in seconds, or None."""
        step_ns = self._wall_ns() - (self._offset_ns + self._monotonic_ns())
        if abs(step_ns) <= STEP_NS:
            return None
        self._offset_ns += step_ns
        return step_ns / 1e9
