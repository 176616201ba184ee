"""Compare a book with what is stored of it: by the exchange's numbers, or by time and levels. Pure."""

from enum import Enum, auto
from typing import NamedTuple

from collector.book.order_book import OrderBook


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


class StoredUntil:
    """Where the stored rows of a book begin and stand, while two connections bring it."""

    def __init__(self, position: Position, book: OrderBook) -> None:
        self._first = position.at
        self._last = position
        self.book = book  # after the last of them

    def moved_to(self, position: Position, book: OrderBook, *, begins: bool) -> None:
        """Note the row that was stored last, or the first of a segment."""
        if begins:
            self._first = position.at
        self._last, self.book = position, book

    def place(self, position: Position, book: OrderBook) -> Place:
        """Return where a book stands."""
        ours, theirs = position.at, self._last.at
        if ours is None or theirs is None or position.is_number != self._last.is_number:
            return Place.AHEAD
        if self.begins_after(position):
            return Place.BEFORE
        if ours < theirs:
            return Place.BEHIND
        # Of one time there may be several updates: the levels must be the same as well.
        is_same = ours == theirs and (position.is_number or book == self.book)
        return Place.SAME if is_same else Place.AHEAD

    def begins_after(self, position: Position) -> bool:
        """Return whether an update is older than the first one that is stored."""
        return position.at is not None and self._first is not None and position.at < self._first

    def has(self, position: Position) -> bool:
        """Return whether an update is stored for sure."""
        ours, first, theirs = position.at, self._first, self._last.at
        if ours is None or theirs is None or first is None or position.is_number != self._last.is_number:
            return False
        return first <= ours < theirs or (ours == theirs and position.is_number)
