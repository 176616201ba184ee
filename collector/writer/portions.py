"""Rows of one table, with what coverage and accounting need to know of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collector.events.batch import StreamKey
from collector.writer.coverage import Integers

Value = float | int | str | None


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows, column by column; the arrays say of each row whose it is, in which segment, and when it came."""

    table: str
    columns: Mapping[str, Sequence[Value]]
    streams: Integers
    segments: Integers
    received_at_ns: Integers
    sequences: Integers
    stream: StreamKey | None = None  # whose all the rows are, in a table with a unique key

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.streams)

    def __getitem__(self, here: slice) -> "Portion":
        """Return some of the rows."""
        return Portion(
            self.table,
            {name: column[here] for name, column in self.columns.items()},
            self.streams[here],
            self.segments[here],
            self.received_at_ns[here],
            self.sequences[here],
            self.stream,
        )


def loads(portions: Iterable[Portion], most_rows: int) -> Iterator[list[Portion]]:
    """Put portions together, and take them apart, so that each load has at most `most_rows` rows."""
    load: list[Portion] = []
    room = most_rows
    for portion in portions:
        first = 0
        while first < len(portion):
            if not room:
                yield load
                load, room = [], most_rows
            part = portion[first : first + room]
            load.append(part)
            first += len(part)
            room -= len(part)
    if load:
        yield load
