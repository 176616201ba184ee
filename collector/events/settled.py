"""Define what features hand to the writer: rows, and what became of each event."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from collector.events.batch import StreamKey

Integers = npt.NDArray[np.int64]
Fates = npt.NDArray[np.int8]
Value = float | int | str | None
Columns = Mapping[str, Sequence[Value]]

STORED, SAMPLED_OUT, HELD = range(3)  # a row; none, by the mode of sampling; to be told by a later batch


@dataclass(frozen=True, slots=True)
class Settled:
    """Events in the order of receipt, and the rows of one table that they gave, column by column.

    The arrays say of each event whose it is, in which segment, and where it stands in time: at its receipt,
    or, where REST brought it afterwards, at its exchange time.
    """

    table: str
    columns: Columns
    streams: Integers
    segments: Integers
    at_ns: Integers
    sequences: Integers
    stream: StreamKey | None = None  # whose all the rows are, in a table with a unique key
    fates: Fates | None = None  # what became of each event; None: each is a row
    held_before: int = 0  # so many of the first events were told as held by an earlier batch
    beside: tuple[tuple[str, Columns], ...] = ()  # other tables, with a row for each row of this one

    def __len__(self) -> int:
        """Count the events."""
        return len(self.streams)

    @property
    def rows(self) -> int:
        """Count the rows."""
        return len(self) if self.fates is None else int(np.count_nonzero(self.fates == STORED))

    @property
    def tables(self) -> tuple[tuple[str, Columns], ...]:
        """Return the rows of each table."""
        return ((self.table, self.columns), *self.beside) if self.rows else ()

    def without_rows(self) -> "Settled":
        """Return the events alone, for who counts them later."""
        return replace(self, columns={}, beside=())

    def cut(self, most_rows: int) -> "tuple[Settled, Settled | None]":
        """Split after `most_rows` rows; the rest is None when there are no more."""
        if self.rows <= most_rows:
            return self, None
        end = most_rows
        if self.fates is not None:
            end = int(np.flatnonzero(self.fates == STORED)[most_rows - 1]) + 1
        return (
            self._part(slice(end), slice(most_rows), min(self.held_before, end)),
            self._part(slice(end, None), slice(most_rows, None), max(self.held_before - end, 0)),
        )

    def _part(self, events: slice, rows: slice, held_before: int) -> "Settled":
        return replace(
            self,
            columns=_sliced(self.columns, rows),
            streams=self.streams[events],
            segments=self.segments[events],
            at_ns=self.at_ns[events],
            sequences=self.sequences[events],
            fates=None if self.fates is None else self.fates[events],
            held_before=held_before,
            beside=tuple((table, _sliced(columns, rows)) for table, columns in self.beside),
        )


def loads(portions: Iterable[Settled], most_rows: int) -> Iterator[tuple[list[Settled], bool]]:
    """Regroup portions into loads of at most `most_rows` rows; with each, whether it is the last."""
    load: list[Settled] = []
    room = most_rows
    for portion in portions:
        left: Settled | None = portion if len(portion) else None
        while left is not None:
            if not room:
                yield load, False
                load, room = [], most_rows
            part, left = left.cut(room)
            load.append(part)
            room -= part.rows
    yield load, True


def _sliced(columns: Columns, rows: slice) -> Columns:
    return {name: column[rows] for name, column in columns.items()}
