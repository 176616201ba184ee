"""Read from coverage how the clock of each session was stepped, to place what was stamped before."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from collector.database import Tables

CLOCK_STEP = "clock_step"
_STEP = re.compile(r"([+-]\d+\.\d+) s")  # the detail of a segment that ended there
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _End:
    """A segment that ended at a step: all streams that were covered have one of them at each."""

    segment_id: int
    stream: tuple[str, str, str]
    detail: str


@dataclass(frozen=True, slots=True)
class ClockSteps:
    """The steps of each session's clock."""

    ends: Mapping[str, Sequence[_End]]

    @classmethod
    def read(cls, connection: sa.Connection, tables: Tables) -> "ClockSteps":
        """Read the segments that ended at a step."""
        table, ends = tables.coverage, dict[str, list[_End]]()
        for row in connection.execute(sa.select(table).where(table.c.end_cause == CLOCK_STEP)).mappings():
            if _STEP.match(row["detail"] or ""):
                stream = row["exchange"], row["symbol"], row["channel"]
                ends.setdefault(row["session_id"], []).append(_End(row["segment_id"], stream, row["detail"]))
        return cls(ends)

    def after_ns(self, session_id: str, segment_id: int = 0) -> int:
        """Return by how much the clock was stepped since a segment began; by default since the session did.

        A segment's stamps and this sum are its time by the clock that the session ended with.
        """
        return round(
            sum(step_s(step) * times for step, times in self._steps(session_id, segment_id).items()) * _NS
        )

    def count(self, session_id: str) -> Counter[str]:
        """Count the steps of a session by what they are called."""
        return self._steps(session_id, 0)

    def offs_ns(
        self, connection: sa.Connection, tables: Tables, exchange: str, symbol: str
    ) -> Mapping[int, int]:
        """Return what is to be added to the stamps of those segments of a market that a step followed."""
        if not self.ends:
            return {}
        table = tables.coverage
        query = sa.select(table.c.segment_id, table.c.session_id).where(
            table.c.exchange == exchange, table.c.symbol == symbol, table.c.session_id.in_(list(self.ends))
        )
        offs = {number: self.after_ns(session, number) for number, session in connection.execute(query)}
        return {number: off_ns for number, off_ns in offs.items() if off_ns}

    def _steps(self, session_id: str, segment_id: int) -> Counter[str]:
        """Count the steps by what they are called; a stream that was not covered lacks some of them."""
        steps: dict[tuple[str, str, str], Counter[str]] = {}
        for one in self.ends.get(session_id, ()):
            if one.segment_id >= segment_id:
                steps.setdefault(one.stream, Counter())[one.detail] += 1
        found: Counter[str] = Counter()
        for own in steps.values():
            found |= own
        return found


def step_s(detail: str) -> float:
    """Return by how much a step of this name went forward."""
    match = _STEP.match(detail)
    assert match is not None  # noqa: S101  (others are not read)
    return float(match[1])
