"""Count the failures of one connection, and decide whether and when to try again. No I/O, no clock."""

from typing import NamedTuple

from collector.network.failure_table import NO_SUCH_HOST, FailureClass
from collector.network.failures import Failure
from collector.retry import Backoff

STABLE_AFTER_S = 30.0  # a connection that lived this long starts its backoff from the beginning
LIMITED_WAIT_S = 5.0  # at least so long after a refusal for asking too much that does not say how long


class Next(NamedTuple):
    """What to do after a failure."""

    wait_s: float
    is_over: bool  # trying again cannot help


class Attempts:
    """The failures of one connection, in a row."""

    def __init__(self, backoff: Backoff, *, host_is_known: bool = False) -> None:
        self.in_a_row = 0
        self._backoff = backoff
        self._suspicious = 0
        # The exchange's own host, or one that was there once, has no misspelt name: the resolver fails.
        self._host_is_known = host_is_known

    def connected(self) -> None:
        """Record that the socket was open."""
        self._host_is_known = True

    def served(self) -> None:
        """Record that everything was subscribed: what looked like a refusal was none."""
        self._suspicious = 0

    def failed(self, failure: Failure, lived_s: float) -> Next:
        """Count the end of a socket, or of an attempt to open one."""
        self.in_a_row = 0 if lived_s > STABLE_AFTER_S else self.in_a_row + 1
        if failure.suspicious and not (failure.cause == NO_SUCH_HOST.cause and self._host_is_known):
            self._suspicious += 1
        else:
            self._suspicious = 0
        wait_s = max(self._backoff.wait_s(max(self.in_a_row - 1, 0)), failure.retry_after_s or 0.0)
        if failure.kind is FailureClass.RATE_LIMIT and failure.retry_after_s is None:
            wait_s = max(wait_s, LIMITED_WAIT_S)
        return Next(wait_s, is_over=failure.stops(self._suspicious))
