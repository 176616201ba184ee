"""Decide when the sink may be tried: closed, open, half open."""

import time
from collections.abc import Callable
from enum import StrEnum

from collector.retry import Backoff


class BreakerState(StrEnum):
    """What the breaker lets through."""

    CLOSED = "closed"  # every batch; after a failure the same one again, a little later
    OPEN = "open"  # nothing until the wait is over
    HALF_OPEN = "half_open"  # one batch, to see


class Breaker:
    """Opens after so many failures in a row; a success closes it. Used by the writer thread."""

    def __init__(
        self,
        failures: int,
        retry: Backoff,
        probe: Backoff,
        *,
        now_s: Callable[[], float] = time.monotonic,
        on_change: Callable[[BreakerState, str], None] = lambda _state, _cause: None,
    ) -> None:
        self._most_failures = failures
        self._retry = retry
        self._probe = probe
        self._now_s = now_s
        self._on_change = on_change
        self.state = BreakerState.CLOSED
        self.failures = 0  # in a row
        self.openings = 0
        self._ready_s = 0.0
        self._cause = ""

    @property
    def wait_s(self) -> float:
        """Return how long to wait before the next attempt; 0 when it may be made now."""
        return max(0.0, self._ready_s - self._now_s())

    def ready(self) -> bool:
        """Return whether a batch may be tried now."""
        if self.wait_s:
            return False
        if self.state is BreakerState.OPEN:
            self._become(BreakerState.HALF_OPEN, self._cause)
        return True

    def succeeded(self) -> None:
        """Record that the sink took a batch."""
        self.failures = 0
        self._ready_s = 0.0
        if self.state is not BreakerState.CLOSED:
            self._become(BreakerState.CLOSED, "")

    def failed(self, cause: str) -> None:
        """Record that the sink refused a batch that is good."""
        self.failures += 1
        self._cause = cause
        past = self.failures - self._most_failures
        if past < 0:
            self._ready_s = self._now_s() + self._retry.wait_s(self.failures - 1)
            return
        self._ready_s = self._now_s() + self._probe.wait_s(past)
        if self.state is not BreakerState.OPEN:
            self.openings += self.state is BreakerState.CLOSED
            self._become(BreakerState.OPEN, cause)

    def open(self, cause: str) -> None:
        """Record that the sink is known to take nothing now."""
        self.failures = self._most_failures - 1
        self.failed(cause)

    def _become(self, state: BreakerState, cause: str) -> None:
        self.state = state
        self._on_change(state, cause)
