"""Pace what is asked of an exchange: never more than it allows in any span of time, and in order."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from collector.exchanges.limits import Rate

SHARE = 0.8  # of what is allowed: pongs count as well, and clocks differ


class Pacer:
    """Hands out turns. Each who asks is told how long to wait; that turn is then taken."""

    def __init__(self, rates: Sequence[Rate], monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._monotonic_s = monotonic_s
        self._turns: deque[float] = deque(maxlen=max(rate.most for rate in rates))

    def reserve_s(self) -> float:
        """Take the next turn; returns how long to wait for it."""
        now_s = self._monotonic_s()
        turn_s = now_s
        for count, span_s in self._rates:
            if len(self._turns) >= count:
                turn_s = max(turn_s, self._turns[-count] + span_s)
        self._turns.append(turn_s)
        return turn_s - now_s


def at_most(documented: Rate, wanted_a_second: float) -> tuple[Rate, Rate]:
    """Return what to keep to: a share of what the exchange allows, and what was configured."""
    share = Rate(max(1, int(documented.most * SHARE)), documented.span_s)
    count = max(1, int(wanted_a_second))
    return share, Rate(count, count / wanted_a_second)
