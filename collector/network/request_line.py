"""Keep the requests for books that wait or are under way: a book has one under way at a time."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from collector.network.allowance import Need
from collector.network.budget import Budget


@dataclass(slots=True, eq=False)
class Turn:
    """A place in the line: for which book, and how much that is needed."""

    book: Hashable
    need: Need
    on_sent: Callable[[], None] = lambda: None  # called when the request goes out
    is_sent: bool = False


class RequestLine:
    """The requests for the books of one kind of market, in the order of their budget. Lives in one loop."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._turns: list[Turn] = []
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    def __len__(self) -> int:
        """Return how many requests wait or are under way."""
        return len(self._turns)

    def holds(self, book: Hashable) -> bool:
        """Return whether a request for a book waits or is under way."""
        return any(turn.book == book for turn in self._turns)

    def has_time_for(self, weight: float) -> bool:
        """Return whether a request could go out now, with as much left for a book that is needed more."""
        return all(turn.is_sent for turn in self._turns) and self.budget.has_time_for(weight)

    @asynccontextmanager
    async def go(self, turn: Turn, weight: float) -> AsyncGenerator[None]:
        """Wait for a turn, and hold it while the request is under way. Cancelled, it leaves the line."""
        self._turns.append(turn)
        lock = self._locks.setdefault(turn.book, asyncio.Lock())
        try:
            async with lock, self.budget.turn(weight, turn.need):
                turn.is_sent = True
                turn.on_sent()
                yield
        finally:
            self._turns.remove(turn)
