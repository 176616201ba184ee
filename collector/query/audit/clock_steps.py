"""Read from coverage how the clock of each session was stepped, to place what was stamped before."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from collector.database import Tables
from collector.query.audit.finding import Finding

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
            sum(_seconds(step) * times for step, times in self._steps(session_id, segment_id).items()) * _NS
        )

    def notes(self) -> Iterator[Finding]:
        """Yield a note for each step."""
        for session_id, ends in self.ends.items():
            for detail, times in self._steps(session_id, 0).items():
                count = sum(one.detail == detail for one in ends)
                word = "set back" if _seconds(detail) < 0 else "put forward"
                text = f"session {session_id}: its clock was {word} by {detail.lstrip('+-')}"
                text += f", {times} times" if times > 1 else ""
                text += f"; {count} segments end there, dated by the clock of before"
                yield Finding("clock step", text, is_note=True)

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


def _seconds(detail: str) -> float:
    match = _STEP.match(detail)
    assert match is not None  # noqa: S101  (others are not read)
    return float(match[1])
