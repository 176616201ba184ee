"""Split a write set for a sink that takes only so many rows in one write."""

from collections.abc import Iterator
from dataclasses import replace

from collector.sinks import Rows, WriteSet


def in_parts(write_set: WriteSet, most_rows: int | None) -> Iterator[WriteSet]:
    """Yield write sets of at most so many rows; segments and counts are in the last, with the batch id.

    The parts before it have ids made from that id, so that a part that comes again has the id it had before.
    """
    if most_rows is None or write_set.row_count <= most_rows:
        yield write_set
        return
    number, part, room = 1, list[Rows](), most_rows
    for rows in write_set.rows:
        first = 0
        while first < len(rows):
            if not room:
                yield WriteSet(
                    f"{write_set.batch_id}/{number}", write_set.session, tuple(part), by=write_set.by
                )
                number, part, room = number + 1, [], most_rows
            end = min(len(rows), first + room)
            part.append(slice_of(rows, first, end))
            room -= end - first
            first = end
    yield replace(write_set, rows=tuple(part))


def slice_of(rows: Rows, first: int, end: int) -> Rows:
    """Return the rows from `first` up to, not including, `end`."""
    return replace(rows, columns={name: column[first:end] for name, column in rows.columns.items()})
