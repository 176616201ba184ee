"""Continue under new segment numbers where something of a segment is missing in this database.

A segment that kept its number would claim to cover the hole: after the database was restored to an older
state, which lacks what was written since, or after rows were given up. Which segments are over, and which
ones continue them, is read in coverage, so that it holds for what a crashed process left in its spool, too.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import sqlalchemy as sa

from collector.database import DAMAGED, GIVEN_UP, Tables
from collector.sinks.contract import Rows, SegmentState, WriteSet
from collector.sinks.sql.crashed_sessions import CRASH, end_all, end_segments

CAUSE = "database_replaced"
_OVER = GIVEN_UP | {CAUSE}  # a segment that ended so is never extended


class Renumbering:
    """The segments that have another number in this database than elsewhere."""

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id
        self._numbers: dict[int, int] = {}  # the last ones that were found; the database has the last word
        self._has_holes = False  # of our session

    def begin(self, connection: sa.Connection, tables: Tables, session_id: str) -> int:
        """End the session's segments that the copy holds as open; they get new numbers from now on."""
        self._has_holes = True
        return end_segments(connection, tables, [session_id], CAUSE)

    def apply(
        self, connection: sa.Connection, tables: Tables, write_set: WriteSet, *, is_ours: bool
    ) -> WriteSet:
        """Return the write set with the numbers of this database."""
        if write_set.is_after_loss:
            end_all(connection, tables, write_set.session.session_id, DAMAGED)
        if is_ours and (
            write_set.is_after_loss or any(one.end_cause in GIVEN_UP for one in write_set.segments)
        ):
            self._has_holes = True
        if is_ours and not self._has_holes:
            return write_set
        numbers, begun = self._current(connection, tables, write_set)
        renumbered = (replace(one, segment_id=numbers[one.segment_id]) for one in write_set.segments)
        return replace(
            write_set,
            # One without a row, continued after a hole, begins with its next row.
            segments=tuple(
                now
                for one, now in zip(write_set.segments, renumbered, strict=True)
                if one.rows or now.segment_id == one.segment_id or now.segment_id in begun
            ),
            rows=tuple(_renumbered_all(write_set.rows, numbers, begun)),
        )

    def _current(
        self, connection: sa.Connection, tables: Tables, write_set: WriteSet
    ) -> tuple[dict[int, int], set[int]]:
        """Return the number of each segment in this database, and which of these it holds already."""
        former = {one.segment_id: self._numbers.get(one.segment_id) for one in write_set.segments}
        known = _known(connection, tables, {*former, *filter(None, former.values())})
        numbers = {
            one: number
            for one, hint in former.items()
            for number in (hint, one)
            if number is not None and number in known and known[number].end_cause not in _OVER
        }
        begun = set(numbers.values())
        for one in write_set.segments:
            if one.segment_id in numbers:
                continue
            number: int | None = one.segment_id
            if number in known:  # and is over
                number = _rest_of(connection, tables, one, known[number].start_ns)
                if number is not None:
                    begun.add(number)
                    self._numbers[one.segment_id] = number
            numbers[one.segment_id] = number or self._new_id()
        return numbers, begun


class _Known(NamedTuple):
    """A segment in the database."""

    start_ns: int
    end_cause: str | None


def _known(connection: sa.Connection, tables: Tables, numbers: Collection[int]) -> dict[int, _Known]:
    """Return when each of these segments began and why it ended, of those that there are."""
    coverage = tables.coverage.c
    query = sa.select(coverage.segment_id, coverage.start_ns, coverage.end_cause)
    rows = connection.execute(query.where(coverage.segment_id.in_(numbers)))
    return {number: _Known(*known) for number, *known in rows}


def _rest_of(connection: sa.Connection, tables: Tables, one: SegmentState, began_ns: int) -> int | None:
    """Return the segment that continues this one, which began then.

    Those before and after it may have no end yet either: a batch in several transactions tells ends in the
    last. The rest of it began behind its hole, and not after what is told of it now.
    """
    coverage = tables.coverage.c
    query = sa.select(coverage.segment_id).where(
        coverage.exchange == one.exchange,
        coverage.symbol == one.symbol,
        coverage.channel == one.channel,
        coverage.session_id == one.session_id,
        coverage.start_ns.between(began_ns, one.end_ns),
        sa.or_(coverage.end_cause.is_(None), coverage.end_cause == CRASH),
    )
    return connection.execute(query.order_by(coverage.start_ns.desc())).scalars().first()


def _renumbered_all(
    all_rows: Iterable[Rows], numbers: Mapping[int, int], begun: Collection[int]
) -> Iterator[Rows]:
    """Return all rows with new numbers; several may be of one table, and the first has a segment's first."""
    fresh: dict[str, set[int]] = {}
    for rows in all_rows:
        left = fresh.setdefault(rows.table, set(numbers.values()).difference(begun))
        yield _renumbered(rows, numbers, left)
        left.difference_update(numbers.get(one, one) for one in _segments_in(rows))


def _segments_in(rows: Rows) -> set[int]:
    return {one for one in rows.columns.get("segment_id", ()) if isinstance(one, int)}


def _renumbered(rows: Rows, numbers: Mapping[int, int], fresh: Collection[int]) -> Rows:
    """Return the rows with new numbers; the first of a segment has no order flow: nothing precedes it."""
    former = rows.columns.get("segment_id")
    if former is None:
        return rows
    now = [numbers.get(one, one) if isinstance(one, int) else one for one in former]
    columns = {**rows.columns, "segment_id": now}
    firsts = {now.index(number) for number in fresh if number in now}
    for name, values in columns.items():
        if firsts and name.startswith("ofi"):
            columns[name] = [None if at in firsts else value for at, value in enumerate(values)]
    return replace(rows, columns=columns)
