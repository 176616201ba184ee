"""Compare a book with what is stored of it: by the exchange's numbers, or by time and levels. Pure."""

from enum import Enum, auto
from typing import NamedTuple

from collector.book import Book


class Place(Enum):
    """Where a book stands beside the stored rows."""

    BEFORE = auto()  # before the first of them
    BEHIND = auto()  # at one of them that is not the last
    SAME = auto()
    AHEAD = auto()  # or nothing tells


class Position(NamedTuple):
    """What tells one update of a book from the others."""

    at: int | None  # the update's number, or its time where there are none
    is_number: bool


Levels = tuple[tuple[float, ...], ...]


def levels_of(book: Book) -> Levels:
    """Return prices and sizes of a book."""
    bids, asks = book.bids, book.asks
    return tuple(bids.prices), tuple(bids.lots), tuple(asks.prices), tuple(asks.lots)


class StoredUntil:
    """Where the stored rows of a book begin and stand, while two connections bring it."""

    def __init__(self, position: Position, book: Book, first: Position | None = None) -> None:
        self._first = position if first is None else first
        self._last = position
        self._now: list[Levels] = []  # the states of the last time, where there are no numbers
        self.moved_to(position, book, begins=False)

    def moved_to(self, position: Position, book: Book, *, begins: bool) -> None:
        """Note the row that was stored last, or the first of a segment."""
        if begins:
            self._first = position
        if not position.is_number:
            if position != self._last:
                self._now.clear()
            self._now.append(levels_of(book))
        self._last = position

    def is_like(self, book: Book) -> bool:
        """Return whether a book, which has no numbers, has the levels that were stored last."""
        return bool(self._now) and self._now[-1] == levels_of(book)

    def place(self, position: Position, book: Book) -> Place:
        """Return where a book stands."""
        ours, theirs = position.at, self._last.at
        if ours is None or theirs is None or position.is_number != self._last.is_number:
            return Place.AHEAD
        if self.may_precede(position) and (ours != theirs or position.is_number):
            return Place.BEFORE
        if ours != theirs:
            return Place.BEHIND if ours < theirs else Place.AHEAD
        if position.is_number or self.is_like(book):
            return Place.SAME
        # Of one time there may be several updates.
        return Place.BEHIND if levels_of(book) in self._now else Place.AHEAD

    def may_precede(self, position: Position) -> bool:
        """Return whether an update may be older than the first one that is stored."""
        ours, first = position.at, self._first.at
        if ours is None or first is None:
            return False
        return ours < first or (ours == first and not position.is_number)

    def has(self, position: Position) -> bool:
        """Return whether an update is stored for sure."""
        ours, theirs = position.at, self._last.at
        if ours is None or theirs is None or position.is_number != self._last.is_number:
            return False
        if self.may_precede(position):
            return False
        return ours < theirs or (ours == theirs and position.is_number)
