"""Stamp receipts: the wall clock at the start plus the monotonic clock since."""

import time
from collections.abc import Callable

BEGAN_S = time.monotonic()  # about when the process began: the command line imports this first
NS_A_SECOND = 1e9
STEP_NS = 1_000_000_000  # the two clocks differ by more than this: the wall clock was stepped


def seconds_since(at_ns: int, now_ns: int) -> float | None:
    """Return how long ago an instant was, at least 0; None for 0, which is never."""
    return max(0.0, (now_ns - at_ns) / NS_A_SECOND) if at_ns else None


class Clock:
    """Stamp instants in ns since the epoch, UTC, that never run backwards but by a step of the wall clock.

    Owned by one thread. `check` notices a step and anchors anew; stamps go on from there.
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
        """Return the instant, later than every one before since the last step."""
        now = self._offset_ns + self._monotonic_ns()
        if now <= self._last_ns:
            now = self._last_ns + 1
        self._last_ns = now
        return now

    def check(self) -> int | None:
        """Anchor again if the wall clock was stepped; returns the step in ns, or None."""
        step_ns = self._wall_ns() - (self._offset_ns + self._monotonic_ns())
        if abs(step_ns) <= STEP_NS:
            return None
        self._offset_ns += step_ns
        self._last_ns = 0
        return step_ns
