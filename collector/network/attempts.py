"""Count the failures of one connection or load in a row, and decide when to try again. No I/O, no clock.

Trying never ends, unless that is asked for. What looks like a refusal is tried again at a slow pace: at once
where the exchange's words leave no doubt (credentials, a geo block), after many in a row where it may pass
(403, 404, a policy close).
"""

from typing import NamedTuple

from collector.network.failure_table import NO_SUCH_HOST, FailureClass
from collector.network.failures import Failure
from collector.retry import NO_REST, Backoff, Rest

STABLE_AFTER_S = 30.0  # service that lasted this long starts the backoff from the beginning
LIMITED_WAIT_S = 5.0  # at least so long after a refusal for asking too much that does not say how long


class Next(NamedTuple):
    """What to do after a failure."""

    wait_s: float
    is_refused: bool  # the exchange refuses: tries go on at the slow pace
    is_news: bool = False  # it did not before


class Attempts:
    """The failures of one connection, or of one load, in a row."""

    def __init__(
        self,
        backoff: Backoff,
        refused_wait_s: float,
        *,
        host_is_known: bool = False,
        rest: Rest = NO_REST,
    ) -> None:
        self.in_a_row = 0
        self._rest = rest
        self._backoff = backoff
        self._refused_wait_s = refused_wait_s
        self._is_refused = False
        self._suspicious = 0
        # The exchange's own host, or one that was there once, has no misspelt name: the resolver fails.
        self._host_is_known = host_is_known

    def connected(self) -> None:
        """Record that the socket was open."""
        self._host_is_known = True

    def failed(self, failure: Failure, served_s: float = 0.0) -> Next:
        """Count the end of a socket, or of an attempt to open one.

        `served_s` is for how long everything had been subscribed: an exchange that takes the socket and
        confirms nothing has served for no time at all.
        """
        if served_s > STABLE_AFTER_S:
            self.in_a_row = self._suspicious = 0
        else:
            self.in_a_row += 1
        if failure.suspicious and not (failure.cause == NO_SUCH_HOST.cause and self._host_is_known):
            self._suspicious += 1
        else:
            self._suspicious = 0
        was_refused, self._is_refused = self._is_refused, failure.refuses(self._suspicious)
        wait_s = max(self._backoff.wait_s(max(self.in_a_row - 1, 0)), failure.retry_after_s or 0.0)
        if failure.kind is FailureClass.RATE_LIMIT and failure.retry_after_s is None:
            wait_s = max(wait_s, LIMITED_WAIT_S)
        if self._is_refused:
            wait_s = max(wait_s, self._refused_wait_s)
        if self.rests:
            wait_s = max(wait_s, self._rest.for_s or 0.0)
        return Next(wait_s, self._is_refused, is_news=self._is_refused and not was_refused)

    @property
    def rests(self) -> bool:
        """Whether the last failure was one after which a rest is taken, or which is the last."""
        return self.in_a_row > 0 and self._rest.after is not None and self.in_a_row % self._rest.after == 0

    @property
    def are_over(self) -> bool:
        """Whether no other attempt is to be made."""
        return self.rests and self._rest.for_s is None
