"""Compare the best bid and ask of a book with those that another channel tells. Pure."""

from collections import deque
from typing import NamedTuple, Protocol

Touch = tuple[float, float, float, float]  # bid price, bid size, ask price, ask size
MOST_KEPT = 1024  # states that wait to be compared: seconds of a busy market


class Comparison(NamedTuple):
    """What became of comparing one state of a book."""

    number: int
    book: Touch
    told: Touch

    @property
    def agrees(self) -> bool:
        """Say whether both told the same."""
        return self.book == self.told


class Touches(Protocol):
    """One book beside one channel of best prices."""

    def of_book(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the book's state at an update; returns what could be compared now."""

    def told(self, number: int, touch: Touch) -> list[Comparison]:
        """Take what the other channel tells of an update."""

    def forget_book(self) -> None:
        """Let go of the book's states: it begins anew."""

    def forget_told(self) -> None:
        """Let go of what was told: something of it may be missing."""


class LastNotBeyond:
    """Where every change of the best prices is told under the number of the update that made it (Binance).

    At an update the best prices are those last told not beyond it. That is known once something beyond it
    is told: the two channels run apart by some messages, either may be ahead.
    """

    def __init__(self) -> None:
        self._told: deque[tuple[int, Touch]] = deque(maxlen=MOST_KEPT)
        self._waiting: deque[tuple[int, Touch]] = deque(maxlen=MOST_KEPT)

    def of_book(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the book's state at an update."""
        self._waiting.append((number, touch))
        return self._compare()

    def told(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the best prices from an update on."""
        if self._told and number <= self._told[-1][0]:
            self._told.clear()  # numbers that began again
        self._told.append((number, touch))
        return self._compare() if self._waiting else []

    def forget_book(self) -> None:
        """Let go of the book's states."""
        self._waiting.clear()

    def forget_told(self) -> None:
        """Let go of what was told."""
        self._told.clear()

    def _compare(self) -> list[Comparison]:
        told, waiting = self._told, self._waiting
        found: list[Comparison] = []
        while waiting and told and told[-1][0] >= waiting[0][0]:
            number, touch = waiting.popleft()
            while len(told) > 1 and told[1][0] <= number:
                told.popleft()
            if told[0][0] <= number:
                found.append(Comparison(number, touch, told[0][1]))
        return found


class SameNumber:
    """Where each channel puts changes together in its own way: only the same number compares (Bybit)."""

    def __init__(self, most_kept: int = 64) -> None:
        self._most_kept = most_kept
        self._books: dict[int, Touch] = {}
        self._told: dict[int, Touch] = {}

    def of_book(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the book's state."""
        _keep(self._books, number, touch, self._most_kept)
        return [Comparison(number, touch, self._told[number])] if number in self._told else []

    def told(self, number: int, touch: Touch) -> list[Comparison]:
        """Take the best prices."""
        _keep(self._told, number, touch, self._most_kept)
        return [Comparison(number, self._books[number], touch)] if number in self._books else []

    def forget_book(self) -> None:
        """Let go of the book's states."""
        self._books.clear()

    def forget_told(self) -> None:
        """Let go of what was told."""
        self._told.clear()


def _keep(states: dict[int, Touch], number: int, touch: Touch, most: int) -> None:
    states[number] = touch
    if len(states) > most:
        del states[next(iter(states))]
