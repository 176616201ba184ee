"""Read coverage of many streams over a span, with the holes in it, page by page."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from collector.database import Tables
from collector.errors import QueryError
from collector.query.between import covered_ns, holes_between

MOST_SEGMENTS = 5_000  # of one page
STREAM = ("exchange", "symbol", "channel")
ASKED_FOR = frozenset({"stop", "unsubscribed", "filled", "takeover"})  # after these nothing is missed
_SEPARATOR = "~"  # in a cursor; no name has it
_CURSOR = re.compile(r"(?P<exchange>[^~]*)~(?P<symbol>[^~]*)~(?P<channel>[^~]*)~(?P<start>[0-9]{1,19})")
_LARGEST = 2**63 - 1  # that a column holds

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CoverageAsked:
    """A span, which streams, and where the page begins."""

    start_ns: int
    end_ns: int
    exchange: str | None = None
    symbol: str | None = None
    channel: str | None = None
    cursor: tuple[str, str, str, int] | None = None

    @staticmethod
    def cursor_of(text: str) -> tuple[str, str, str, int]:
        """Return the cursor that a client gave back."""
        match = _CURSOR.fullmatch(text)
        if match is None or int(match["start"]) > _LARGEST:
            raise QueryError("the cursor is none of ours; expected the `next` of the page before")
        return match["exchange"], match["symbol"], match["channel"], int(match["start"])


def coverage_page(
    connection: sa.Connection, tables: Tables, asked: CoverageAsked, most: int = MOST_SEGMENTS
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the streams with their segments and holes within the span, and the cursor of the next page.

    A stream of which one page cannot hold all segments goes on, under the same name, on the next.
    """
    found = _segments(connection, tables, asked, most + 1)
    following = None
    if len(found) > most:
        last = found[most - 1]
        following = _SEPARATOR.join([*(last[name] for name in STREAM), str(last["start_ns"])])
        found = found[:most]
    ends = _session_ends(connection, tables, {row["session_id"] for row in found})
    streams = []
    for key, group in groupby(found, key=lambda row: tuple(row[name] for name in STREAM)):
        rows = list(group)
        is_cut = following is not None and rows[-1] is found[-1]
        before = _before(connection, tables, key, rows[0]["start_ns"])
        own = [*before, *rows]
        holes = [*_clipped(holes_between(own), asked), *([] if is_cut else _after(rows[-1], ends, asked))]
        streams.append(_stream(key, rows, holes, asked))
    return streams, following


def _segments(connection: sa.Connection, tables: Tables, asked: CoverageAsked, limit: int) -> list[Row]:
    table = tables.coverage
    order = (*(table.c[name] for name in STREAM), table.c.start_ns)
    query = sa.select(table).where(table.c.alive_until_ns > asked.start_ns, table.c.start_ns < asked.end_ns)
    for name in STREAM:
        value = getattr(asked, name)
        if value is not None:
            query = query.where(table.c[name] == value)
    if asked.cursor is not None:
        query = query.where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, asked.cursor)))
    return [dict(row) for row in connection.execute(query.order_by(*order).limit(limit)).mappings()]


def _before(connection: sa.Connection, tables: Tables, key: Sequence[str], start_ns: int) -> list[Row]:
    """Return the segment before the first: a hole may reach into the span."""
    table = tables.coverage
    own = [table.c[name] == value for name, value in zip(STREAM, key, strict=True)]
    query = (
        sa.select(table).where(*own, table.c.start_ns < start_ns).order_by(table.c.start_ns.desc()).limit(1)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _session_ends(connection: sa.Connection, tables: Tables, session_ids: set[str]) -> dict[str, int | None]:
    """Return when each session ended; None for one that did not."""
    table = tables.sessions
    query = sa.select(table.c.session_id, table.c.ended_ns).where(table.c.session_id.in_(sorted(session_ids)))
    return {row.session_id: row.ended_ns for row in connection.execute(query)}


def _after(last: Row, ends: Mapping[str, int | None], asked: CoverageAsked) -> Iterator[dict[str, Any]]:
    """Yield the hole after the last segment, while its session wanted the stream."""
    if last["end_cause"] is None or last["end_cause"] in ASKED_FOR:
        return
    until_ns = min(asked.end_ns, ends.get(last["session_id"], last["alive_until_ns"]) or asked.end_ns)
    if until_ns > last["alive_until_ns"]:
        yield _hole(last["alive_until_ns"], until_ns, last["end_cause"], last["detail"])


def _clipped(holes: Iterator[tuple[int, int, Any, Any]], asked: CoverageAsked) -> Iterator[dict[str, Any]]:
    for start_ns, end_ns, cause, detail in holes:
        if end_ns > asked.start_ns and start_ns < asked.end_ns:
            yield _hole(max(start_ns, asked.start_ns), min(end_ns, asked.end_ns), cause, detail)


def _hole(start_ns: int, end_ns: int, cause: str | None, detail: str | None) -> dict[str, Any]:
    return {"start_ns": start_ns, "end_ns": end_ns, "cause": cause, "detail": detail or ""}


def _stream(
    key: Sequence[str], rows: Sequence[Row], holes: list[dict[str, Any]], asked: CoverageAsked
) -> dict[str, Any]:
    """Return one stream; `covered` is the share that is covered of the time that it was wanted in."""
    own_ns = covered_ns(rows, asked.start_ns, asked.end_ns)
    total_ns = own_ns + sum(hole["end_ns"] - hole["start_ns"] for hole in holes)
    segments = [
        {
            "id": str(row["segment_id"]),
            "start_ns": row["start_ns"],
            "end_ns": row["alive_until_ns"],
            "cause": row["end_cause"],
            "detail": row["detail"] or "",
            "verification": row["verification"],
            "rows": row["rows"],
            "open": row["end_cause"] is None,
        }
        for row in rows
    ]
    covered = None if total_ns == 0 else own_ns / total_ns
    return {**dict(zip(STREAM, key, strict=True)), "covered": covered, "segments": segments, "holes": holes}
