"""Compact memory: rows of integers in typed columns, the oldest half let go when a limit is passed."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from threading import Lock


class Columns:
    """An append-only table of integers. Written by one thread, read by any."""

    def __init__(self, type_codes: str, limit: int) -> None:
        self._columns = [array(code) for code in type_codes]
        self._limit = limit
        self._first = 0
        # Held for one append, one trim or one copy; nothing else happens under it.
        self._lock = Lock()

    def __len__(self) -> int:
        """Count every row ever appended, those let go included."""
        return self._first + len(self._columns[0])

    @property
    def first(self) -> int:
        """The index of the oldest row still held."""
        return self._first

    def append(self, *row: int) -> None:
        """Add a row at the end."""
        with self._lock:
            for column, value in zip(self._columns, row, strict=True):
                column.append(value)
            if len(self._columns[0]) > 2 * self._limit:
                for column in self._columns:
                    del column[: self._limit]
                self._first += self._limit

    def __getitem__(self, index: int) -> tuple[int, ...]:
        with self._lock:
            at = index - self._first
            if at < 0:
                raise IndexError(f"row {index} was let go: the oldest held is {self._first}")
            return tuple(column[at] for column in self._columns)

    def find(self, value: int) -> int:
        """Find the first row whose first column is not below `value`; that column must be sorted."""
        with self._lock:
            return self._first + bisect_left(self._columns[0], value)

    def frozen(self, start: int = 0) -> "FrozenColumns":
        """Copy the rows from `start` on, so that they can be read while others are added."""
        with self._lock:
            at = max(0, start - self._first)
            return FrozenColumns(self._first + at, [column[at:] for column in self._columns])


class FrozenColumns:
    """Rows that no longer change; `first` is the index of the first of them."""

    def __init__(self, first: int, columns: "list[array[int]]") -> None:
        self.first = first
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns[0])

    def column(self, number: int) -> "array[int]":
        """Return one column whole."""
        return self._columns[number]

    def __getitem__(self, at: int) -> tuple[int, ...]:
        return tuple(column[at] for column in self._columns)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return iter(zip(*self._columns, strict=True))


class Numbering:
    """The sequence numbers of one channel: consecutive, but where a fault skipped or restarted them."""

    def __init__(self, base: int) -> None:
        self._from = [-1]
        self._offset = [base]

    def at(self, index: int) -> int:
        """Return the number of the message at an index."""
        return index + self.offset(index)

    def offset(self, index: int) -> int:
        """Return what is added to an index to make its number."""
        return self._offset[bisect_left(self._from, index + 1) - 1]

    def find(self, number: int) -> int:
        """Return the index of the first message with this number or a higher one; numbers must only grow."""
        at = bisect_right(range(len(self._from)), number, key=lambda at: self._from[at] + self._offset[at])
        index = number - self._offset[max(at - 1, 0)]
        return index if at >= len(self._from) else min(index, self._from[at])

    def skip(self, index: int, count: int = 1) -> None:
        """Skip `count` numbers before the message at an index."""
        self._shift(index, self._offset[-1] + count)

    def restart(self, index: int, number: int) -> None:
        """Set the number of the message at an index, whatever came before."""
        self._shift(index, number - index)

    def _shift(self, index: int, offset: int) -> None:
        if self._from[-1] == index:
            self._offset[-1] = offset
        else:
            # The offset first: a reader between the two lines must find one for every start.
            self._offset.append(offset)
            self._from.append(index)
