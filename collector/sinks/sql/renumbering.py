"""Continue under new segment numbers after the database was restored to an older state.

A restored copy holds our segments as they were then, and nothing that was written since. A segment that kept
its number would claim to cover that hole.
"""

from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sa

from collector.database import Tables
from collector.sinks.contract import Rows, WriteSet
from collector.sinks.sql.crashed_sessions import end_segments

CAUSE = "database_replaced"


class Renumbering:
    """The segments that have another number in this database than elsewhere."""

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id
        self._numbers: dict[int, int] = {}

    def begin(self, connection: sa.Connection, tables: Tables, session_id: str) -> int:
        """End the session's segments that the copy holds as open; they get new numbers from now on."""
        coverage = tables.coverage
        is_ours = (coverage.c.session_id == session_id, coverage.c.end_cause.is_(None))
        ended = set(connection.execute(sa.select(coverage.c.segment_id).where(*is_ours)).scalars())
        end_segments(connection, tables, [session_id], CAUSE)
        known = {self._numbers.get(number, number): number for number in self._numbers}
        for number in ended:
            self._numbers[known.get(number, number)] = self._new_id()
        return len(ended)

    def apply(self, connection: sa.Connection, tables: Tables, write_set: WriteSet) -> WriteSet:
        """Return the write set with the numbers of this database."""
        if not self._numbers:
            return write_set
        segment_id = tables.coverage.c.segment_id
        query = sa.select(segment_id).where(segment_id.in_(self._numbers.values()))
        begun = set(connection.execute(query).scalars())
        segments = (
            replace(one, segment_id=self._numbers.get(one.segment_id, one.segment_id))
            for one in write_set.segments
        )
        return replace(
            write_set,
            segments=tuple(segments),
            rows=tuple(self._renumbered(rows, begun) for rows in write_set.rows),
        )

    def _renumbered(self, rows: Rows, begun: set[int]) -> Rows:
        """Return the rows with new numbers; the first of a segment has no order flow: nothing precedes it."""
        former = rows.columns.get("segment_id")
        if former is None:
            return rows
        numbers = [self._numbers.get(one, one) if isinstance(one, int) else one for one in former]
        columns = {**rows.columns, "segment_id": numbers}
        new = set(self._numbers.values()) - begun
        firsts = [numbers.index(number) for number in new.intersection(numbers)]
        for name, values in columns.items():
            if firsts and name.startswith("ofi"):
                columns[name] = [None if at in firsts else value for at, value in enumerate(values)]
        return replace(rows, columns=columns)
