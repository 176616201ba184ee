"""Pace the dials of an exchange's connections, each counted as late as the exchange may count it.

The exchange counts a dial when it arrives there: after it was begun, and before it is answered. Two dials
begun far apart may arrive together. So a place within the exchange's limit is free again only when the
limit's time has passed since the answer. How many are begun in a second, our own clock alone counts.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence

from collector.exchanges.exchange import Rate


class Turnstile:
    """Hands out turns to dial, never more than allowed in any span of time, and in order."""

    def __init__(
        self, allowed: Rate, wanted: Rate, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._allowed = allowed
        self._wanted = wanted
        self._monotonic_s = monotonic_s
        self._numbers = itertools.count(1)
        self._queue: list[int] = []  # turns that wait
        self._under_way: set[int] = set()
        self._answered: deque[float] = deque(maxlen=allowed.most)
        self._began: deque[float] = deque(maxlen=wanted.most)
        self._closed_until_s = 0.0

    def take_turn(self) -> int:
        """Join the queue; returns the number of the turn."""
        turn = next(self._numbers)
        self._queue.append(turn)
        return turn

    def begin_s(self, turn: int) -> float:
        """Begin a turn if it may; returns how long to wait before asking again, 0 when it has begun."""
        now_s = self._monotonic_s()
        position = self._queue.index(turn)
        counted = [*self._answered, *(now_s for _ in self._under_way)]
        at_s = max(
            now_s,
            self._closed_until_s,
            _free_at_s(position, self._allowed, counted, now_s),
            _free_at_s(position, self._wanted, self._began, now_s),
        )
        if at_s <= now_s:
            self._queue.remove(turn)
            self._under_way.add(turn)
            self._began.append(now_s)
        return at_s - now_s

    def end(self, turn: int) -> None:
        """End a turn: its dial was answered or has failed, or is not wanted any more."""
        if turn in self._under_way:
            self._under_way.remove(turn)
            self._answered.append(self._monotonic_s())
        elif turn in self._queue:
            self._queue.remove(turn)

    def close_for(self, wait_s: float) -> None:
        """Delay all dials by so long: the exchange asked for it."""
        self._closed_until_s = max(self._closed_until_s, self._monotonic_s() + wait_s)

    @property
    def closed_for_s(self) -> float:
        """Return for how long nobody may dial."""
        return max(0.0, self._closed_until_s - self._monotonic_s())


def _free_at_s(position: int, rate: Rate, counted_s: Sequence[float], now_s: float) -> float:
    """Return when there is room for a dial with so many others before it in the queue."""
    taken = sorted(at_s + rate.span_s for at_s in counted_s if at_s + rate.span_s > now_s)
    behind = position + len(taken) - rate.most  # how many must have made room first, less one
    if behind < 0:
        return now_s
    rounds, which = divmod(behind, rate.most)
    first_s = taken[which] if which < len(taken) else now_s + rate.span_s
    return first_s + rounds * rate.span_s
