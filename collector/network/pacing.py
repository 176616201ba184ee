"""Pace what is sent on connections: never more than allowed in any span of time, and in order."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from collector.exchanges import Rate

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
