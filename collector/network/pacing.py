"""Pace the requests to an exchange: never more than it allows in any span of time, and in order."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from collector.exchanges import Rate

WEIGHT_SHARE = 0.5  # of the published limit: others behind the same address have a right to the rest
REFUSED_PAUSE_S = 60.0  # after a refusal that does not say for how long
LEAST_SHARE = WEIGHT_SHARE / 8.0  # each refusal halves what is used, down to this
GROWS_AFTER_S = 300.0  # without a refusal: what is used doubles, up to the whole share


class Budget:
    """A bucket of request weight that refills steadily."""

    def __init__(self, weight_a_minute: float, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._limit = weight_a_minute
        self._share = WEIGHT_SHARE
        self._left = self._most
        self._monotonic_s = monotonic_s
        self._changed_s = monotonic_s()  # when the share last changed, or was refused
        self._counted_s = monotonic_s()
        self._closed_until_s = 0.0

    def take(self, weight: float) -> None:
        """Use so much weight now."""
        self._left -= weight

    def wait_s(self, weight: float) -> float:
        """Return how long a request of so much weight has to wait now."""
        now_s = self._monotonic_s()
        if self._share < WEIGHT_SHARE and now_s - max(self._changed_s, self._closed_until_s) > GROWS_AFTER_S:
            self._share, self._changed_s = self._share * 2.0, now_s
        refill_a_second = self._limit * self._share / 60.0
        self._left = min(self._most, self._left + (now_s - self._counted_s) * refill_a_second)
        self._counted_s = now_s
        missing = min(weight, self._most) - self._left  # more than the bucket holds: a full one must do
        return max(self._closed_until_s - now_s, missing / refill_a_second, 0.0)

    def used(self, weight_this_minute: float) -> None:
        """Lower the budget to what the exchange reports as used by everybody behind this address."""
        self._left = min(self._left, max(0.0, self._limit - weight_this_minute) * WEIGHT_SHARE)

    def refused(self, retry_after_s: float | None) -> float:
        """Pause for as long as the exchange wants, and use less afterwards; returns for how long.

        Requests that were under way together are refused together: that halves what is used once.
        """
        now_s = self._monotonic_s()
        pause_s = REFUSED_PAUSE_S if retry_after_s is None else max(retry_after_s, 1.0)
        if now_s >= self._closed_until_s:
            self._share = max(LEAST_SHARE, self._share / 2.0)
        self._closed_until_s = max(self._closed_until_s, now_s + pause_s)
        self._left = 0.0
        self._changed_s = now_s
        return pause_s

    @property
    def used_share(self) -> float:
        """Return how much of what the bucket holds is used now; 1 while the exchange refuses us.

        Changes nothing, so that any thread may ask.
        """
        if self.closed_for_s > 0.0:
            return 1.0
        most, refill_a_second = self._most, self._limit * self._share / 60.0
        left = self._left + (self._monotonic_s() - self._counted_s) * refill_a_second
        return 1.0 - min(max(left, 0.0), most) / most

    @property
    def closed_for_s(self) -> float:
        """Return for how long nothing may be asked: the exchange refused us."""
        return max(0.0, self._closed_until_s - self._monotonic_s())

    @property
    def _most(self) -> float:
        """Return how much the bucket holds: half a minute's worth."""
        return self._limit * self._share / 2.0


SHARE = 0.8  # of what is allowed: pongs count as well, and clocks differ
ARRIVES_LATE_S = 0.25  # by so much one request may be delayed, here or on its way, and the next one not


class Pacer:
    """Hands out turns: each caller gets the time to wait, and that turn is taken."""

    def __init__(self, rates: Sequence[Rate], monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._monotonic_s = monotonic_s
        self._turns: deque[float] = deque(maxlen=max(rate.most for rate in rates))

    def reserve_s(self) -> float:
        """Reserve the next turn; returns how long to wait for it."""
        now_s = self._monotonic_s()
        turn_s = now_s
        for count, span_s in self._rates:
            if len(self._turns) >= count:
                turn_s = max(turn_s, self._turns[-count] + span_s)
        self._turns.append(turn_s)
        return turn_s - now_s


def at_most(documented: Rate, wanted_a_second: float) -> tuple[Rate, Rate]:
    """Return the rates to keep: a share of what the exchange allows, and what was configured."""
    share = Rate(max(1, int(documented.most * SHARE)), documented.span_s)
    count = max(1, int(wanted_a_second))
    return share, Rate(count, count / wanted_a_second)


def requests_at_most(documented: Rate, wanted_a_second: float) -> tuple[Rate, Rate]:
    """Return the rates to keep for requests, which may arrive closer together than they leave."""
    return at_most(documented._replace(span_s=documented.span_s + ARRIVES_LATE_S), wanted_a_second)
