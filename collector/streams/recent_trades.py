"""Remember which trades were taken lately, to recognize one sent again. Bounded."""

from collections import deque
from typing import Protocol

MOST_IDS = 128
MOST_IDS_OF_TWO = 4096  # while two connections bring the same, one of them later
MOST_RUNS = 16


class RecentTrades(Protocol):
    """The trades taken lately of one stream."""

    def add(self, trade_id: str, number: int | None) -> bool:
        """Add a trade; False when it was there already."""

    def has(self, trade_id: str, number: int | None) -> bool:
        """Return whether a trade was taken lately."""

    def take_back(self, trade_id: str, number: int | None) -> None:
        """Remove the trade that was added last: there was no room for it."""

    def keep(self, most_ids: int) -> None:
        """Remember so many trades from now on, where each is remembered by itself."""


class SeenIds:
    """The last ids, where one says nothing of another."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._ids: set[str] = set()
        self._most = MOST_IDS

    def add(self, trade_id: str, number: int | None) -> bool:
        """Add a trade; False when it was there already."""
        del number
        if trade_id in self._ids:
            return False
        self._ids.add(trade_id)
        self._order.append(trade_id)
        while len(self._order) > self._most:
            self._ids.discard(self._order.popleft())
        return True

    def has(self, trade_id: str, number: int | None) -> bool:
        """Return whether a trade was taken lately."""
        del number
        return trade_id in self._ids

    def take_back(self, trade_id: str, number: int | None) -> None:
        """Remove the trade that was added last: there was no room for it."""
        del number
        self._ids.discard(trade_id)
        self._order.pop()

    def keep(self, most_ids: int) -> None:
        """Remember so many trades from now on."""
        self._most = most_ids


class SeenNumbers:
    """Runs of numbers without a hole: all that was taken since the start, but for the oldest of many runs."""

    def __init__(self) -> None:
        self._runs: list[list[int]] = []  # [first, last], the latest at the end

    def add(self, trade_id: str, number: int | None) -> bool:
        """Add a trade; False when it was there already."""
        if self.has(trade_id, number):
            return False
        number = int(trade_id) if number is None else number
        for run in reversed(self._runs):
            if number == run[1] + 1:
                run[1] = number
                return True
        self._runs.append([number, number])
        del self._runs[:-MOST_RUNS]
        return True

    def has(self, trade_id: str, number: int | None) -> bool:
        """Return whether a trade was taken."""
        number = int(trade_id) if number is None else number
        return any(first <= number <= last for first, last in reversed(self._runs))

    def take_back(self, trade_id: str, number: int | None) -> None:
        """Remove the trade that was added last: there was no room for it."""
        number = int(trade_id) if number is None else number
        run = next(one for one in self._runs if one[1] == number)
        run[1] -= 1
        if run[1] < run[0]:
            self._runs.remove(run)

    def keep(self, most_ids: int) -> None:
        """Do nothing: runs remember them all."""
