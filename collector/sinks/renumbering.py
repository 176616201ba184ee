"""Go on under new numbers after the database was put back to an older state.

A restored copy holds our segments as they were then. What was written since is not in it: a segment that went
on under its number would call that hole covered.
"""

from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sa

from collector.sinks.contract import Rows, WriteSet
from collector.sinks.schema import Tables
from collector.sinks.sessions import end_segments

CAUSE = "database_replaced"


class Renumbering:
    """Which of our segments go by another number in this database."""

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id
        self._numbers: dict[int, int] = {}

    def begin(self, connection: sa.Connection, tables: Tables, session_id: str) -> int:
        """End what the copy holds as open of our session; from now on it goes by new numbers."""
        coverage = tables.coverage
        is_ours = (coverage.c.session_id == session_id, coverage.c.end_cause.is_(None))
        ended = set(connection.execute(sa.select(coverage.c.segment_id).where(*is_ours)).scalars())
        end_segments(connection, tables, [session_id], CAUSE)
        known = {self._numbers.get(number, number): number for number in self._numbers}
        for number in ended:
            self._numbers[known.get(number, number)] = self._new_id()
        return len(ended)

    def apply(self, batch: WriteSet) -> WriteSet:
        """Return the batch as this database is to have it."""
        if not self._numbers:
            return batch
        return replace(
            batch,
            segments=tuple(
                replace(one, segment_id=self._numbers.get(one.segment_id, one.segment_id))
                for one in batch.segments
            ),
            rows=tuple(map(self._renumbered, batch.rows)),
        )

    def _renumbered(self, rows: Rows) -> Rows:
        numbers = rows.columns.get("segment_id")
        if numbers is None:
            return rows
        changed = [self._numbers.get(one, one) for one in numbers]  # type: ignore[call-overload]
        return replace(rows, columns={**rows.columns, "segment_id": changed})
