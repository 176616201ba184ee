"""Order the requests for books that share one budget: what is needed most goes out first."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from collector.network.pacing import Budget

SHORTEST_WAIT_S = 0.001  # before the budget is looked at again


class Need(IntEnum):
    """How much a book is needed; the lowest number goes first."""

    BROKEN = 0  # was verified, and is in doubt
    FIRST = 1  # not verified since its subscription
    EDGE = 2  # the price comes near the end of what is known
    QUESTION = 3  # silent: quiet or stalled?
    WITNESS = 4  # compared from time to time

    @property
    def can_wait(self) -> bool:
        """Return whether the budget must hold another such request for a book that is needed more."""
        return self >= Need.EDGE


# At most so many of a need, and of those needed more, are under way at once: a book that breaks finds room.
MOST_UNDER_WAY = {Need.BROKEN: 4, Need.FIRST: 3, Need.EDGE: 2, Need.QUESTION: 1, Need.WITNESS: 1}


@dataclass(slots=True, eq=False)
class Turn:
    """A place in the line: for which book, and how much that is needed."""

    book: Hashable
    need: Need
    on_sent: Callable[[], None] = lambda: None  # called when the request goes out
    is_sent: bool = False


@dataclass(slots=True, eq=False)
class _Waiting:
    turn: Turn
    weight: float
    number: int
    may_go: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class RequestLine:
    """The requests that wait for one budget, at most one of a book. Lives in one loop."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._waiting: list[_Waiting] = []
        self._under_way: list[Turn] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many requests wait or are under way."""
        return len(self._waiting) + len(self._under_way)

    def holds(self, book: Hashable) -> bool:
        """Return whether a request for a book waits or is under way."""
        return any(turn.book == book for turn in (*self._under_way, *(one.turn for one in self._waiting)))

    def has_time_for(self, weight: float) -> bool:
        """Return whether a request could go out now, with as much left for a book that is needed more."""
        return not self._waiting and self.budget.wait_s(2 * weight) <= 0.0

    @asynccontextmanager
    async def go(self, turn: Turn, weight: float) -> AsyncGenerator[None]:
        """Wait for a turn, and hold it while the request is under way. Cancelled, it leaves the line."""
        waiting = _Waiting(turn, weight, next(self._numbers))
        self._waiting.append(waiting)
        self.look()
        try:
            await waiting.may_go
            yield
        finally:
            if turn in self._under_way:
                self._under_way.remove(turn)
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            self.look()

    def look(self) -> None:
        """Let go what may go now; look again when the budget has refilled."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while (waiting := self._next()) is not None:
            turn = waiting.turn
            if len(self._under_way) >= MOST_UNDER_WAY[turn.need]:
                return  # looked at again when one of them ends
            wanted = 2 * waiting.weight if turn.need.can_wait else waiting.weight
            wait_s = self.budget.wait_s(wanted)
            if wait_s > 0.0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(max(wait_s, SHORTEST_WAIT_S), self.look)
                return
            self._waiting.remove(waiting)
            self._under_way.append(turn)
            self.budget.take(waiting.weight)
            turn.is_sent = True
            turn.on_sent()
            waiting.may_go.set_result(None)

    def _next(self) -> _Waiting | None:
        """Return who is needed most of those that wait; a book has one request under way at a time."""
        busy = {turn.book for turn in self._under_way}
        free = (
            one for one in self._waiting if not one.may_go.done() and one.turn.book not in busy
        )  # done: cancelled, and about to leave
        return min(free, key=lambda one: (one.turn.need, one.number), default=None)
