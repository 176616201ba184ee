"""Read from coverage how the clock of each session was stepped, to place what was stamped before."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf
from typing import Any

import sqlalchemy as sa

from collector.database import Tables
from collector.query.between import is_filled

CLOCK_STEP = "clock_step"
_STEP = re.compile(r"([+-]\d+\.\d+) s")  # the detail of a segment that ended there
_NS = 1_000_000_000
CLOCKS_DIFFER_NS = _NS  # receipt times and the wall clock may differ by this much


@dataclass(frozen=True, slots=True)
class _End:
    """A segment that ended at a step: all streams that were covered have one of them at each."""

    segment_id: int
    stream: tuple[str, str, str]
    detail: str
    was_earlier: bool = False  # it ended before the step, which is the next thing known of its stream


@dataclass(frozen=True, slots=True)
class ClockSteps:
    """The steps of each session's clock."""

    ends: Mapping[str, Sequence[_End]]

    @classmethod
    def read(cls, connection: sa.Connection, tables: Tables) -> "ClockSteps":
        """Read the segments that ended at a step."""
        table, sessions = tables.coverage, tables.sessions
        stepped = sa.select(table.c.session_id).where(table.c.end_cause == CLOCK_STEP)
        query = (
            sa.select(table, sessions.c.ended_ns)
            .outerjoin(sessions, sessions.c.session_id == table.c.session_id)
            .where(table.c.session_id.in_(stepped))
            .order_by(table.c.session_id, table.c.segment_id)
        )
        rows = [dict(row) for row in connection.execute(query).mappings()]
        by_session = {
            name: _ends([row for row in own if not is_filled(row)])  # those are in no clock's time
            for name, own in groupby(rows, lambda row: row["session_id"])
        }
        return cls({name: ends for name, ends in by_session.items() if ends})

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


def _ends(segments: Sequence[Mapping[str, Any]]) -> list[_End]:
    """Return where the segments of a session, in the order of their beginnings, end at its steps.

    A stream that was not covered at a step has no segment that ends there. Where its last one began after
    all those that do, and before any that follows them, its stamps tell that the clock was set back since.
    """
    following: dict[int, Mapping[str, Any]] = {}
    last: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    ends: list[_End] = []
    for row in segments:
        stream = row["exchange"], row["symbol"], row["channel"]
        if stream in last:
            following[last[stream]["segment_id"]] = row
        last[stream] = row
        if row["end_cause"] == CLOCK_STEP and _STEP.match(row["detail"] or ""):
            ends.append(_End(row["segment_id"], stream, row["detail"]))
    steps_back: dict[str, tuple[int, float]] = {}  # the latest that ended there, the first that followed
    for one in ends:
        if step_s(one.detail) < 0.0:
            latest, until = steps_back.get(one.detail, (0, inf))
            after = following.get(one.segment_id, {}).get("segment_id", inf)
            steps_back[one.detail] = max(latest, one.segment_id), min(until, after)
    earlier = [
        _End(row["segment_id"], (row["exchange"], row["symbol"], row["channel"]), detail, was_earlier=True)
        for row in segments
        if row["end_cause"] not in {None, CLOCK_STEP} and _is_set_back(row, following.get(row["segment_id"]))
        for detail, (latest, until) in steps_back.items()
        if latest < row["segment_id"] < until
    ]
    return [*ends, *earlier]


def _is_set_back(row: Mapping[str, Any], following: Mapping[str, Any] | None) -> bool:
    """Return whether the next segment of its stream, or the end of its session, is stamped before its end."""
    next_ns = row["ended_ns"] if following is None else following["start_ns"]
    return next_ns is not None and bool(row["alive_until_ns"] > next_ns + CLOCKS_DIFFER_NS)


def step_s(detail: str) -> float:
    """Return by how much a step of this name went forward."""
    match = _STEP.match(detail)
    assert match is not None  # noqa: S101  (others are not read)
    return float(match[1])
