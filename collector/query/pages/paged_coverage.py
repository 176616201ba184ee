"""Read coverage of many streams over a span, with the holes in it, page by page."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from collector.database import Tables
from collector.errors import QueryError
from collector.events import FILLED, REST
from collector.query.between import covered_ns, holes_between, is_filled

MOST_SEGMENTS = 5_000  # of one page
STREAM = ("exchange", "symbol", "channel")
ASKED_FOR = frozenset(
    {"stop", "unsubscribed", "left_universe", "delisted", FILLED, "takeover"}
)  # after these nothing is missed
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

    A stream of which one page cannot hold all segments goes on, under the same name, on the next. One that
    broke before the span, and has not come back, is nothing but a hole.
    """
    found = _segments(connection, tables, asked, most + 1)
    following, cut = None, None  # the stream that goes on, on the next page
    if len(found) > most:
        last = found[most - 1]
        following = _SEPARATOR.join([*_names(last), str(last["start_ns"])])
        cut = _names(found[most])
        found = found[:most]
    ends = _session_ends(connection, tables, {row["session_id"] for row in found})
    streams = []
    for key, group in groupby(found, key=_names):
        rows = list(group)
        before = _before(connection, tables, key, rows[0]["start_ns"])
        own = [*before, *rows]
        if unknown := {row["session_id"] for row in before} - ends.keys():
            ends |= _session_ends(connection, tables, unknown)
        after = [] if key == cut else _after(own, ends, asked)
        holes = [*_clipped(holes_between(own), asked), *after]
        within = [row for row in rows if row["alive_until_ns"] > asked.start_ns]
        if within or holes:
            streams.append(_stream(key, within, holes, asked))
    return streams, following


def _names(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in STREAM)


def _segments(connection: sa.Connection, tables: Tables, asked: CoverageAsked, limit: int) -> list[Row]:
    """Return the segments that reach into the span, and the last one of each stream before its end."""
    table = tables.coverage
    names = tuple(table.c[name] for name in STREAM)
    order = (*names, table.c.start_ns)
    wanted = [table.c[name] == value for name in STREAM if (value := getattr(asked, name)) is not None]
    wanted.append(table.c.start_ns < asked.end_ns)
    last = sa.select(*names, sa.func.max(table.c.start_ns).label("start_ns")).where(*wanted).group_by(*names)
    latest = last.subquery("latest")
    is_latest = sa.and_(*(latest.c[one.name] == one for one in order))
    query = (
        sa.select(table)
        .outerjoin(latest, is_latest)
        .where(*wanted, sa.or_(table.c.alive_until_ns > asked.start_ns, latest.c.start_ns.is_not(None)))
    )
    if asked.cursor is not None:
        query = query.where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, asked.cursor)))
    return [dict(row) for row in connection.execute(query.order_by(*order).limit(limit)).mappings()]


def _before(connection: sa.Connection, tables: Tables, key: Sequence[str], start_ns: int) -> list[Row]:
    """Return the segment before the first, for a hole may reach into the span, and the last live one."""
    table = tables.coverage
    own = [table.c[name] == value for name, value in zip(STREAM, key, strict=True)]
    query = sa.select(table).where(*own, table.c.start_ns < start_ns).order_by(table.c.start_ns.desc())
    live = query.where(table.c.verification != REST, table.c.end_cause.is_distinct_from(FILLED))
    found = {}
    for one in (live, query):
        for row in connection.execute(one.limit(1)).mappings():
            found[row["segment_id"]] = dict(row)
    return list(found.values())


def _session_ends(connection: sa.Connection, tables: Tables, session_ids: set[str]) -> dict[str, int | None]:
    """Return when each session ended; None for one that did not."""
    table = tables.sessions
    query = sa.select(table.c.session_id, table.c.ended_ns).where(table.c.session_id.in_(sorted(session_ids)))
    return {row.session_id: row.ended_ns for row in connection.execute(query)}


def _after(
    rows: Sequence[Row], ends: Mapping[str, int | None], asked: CoverageAsked
) -> Iterator[dict[str, Any]]:
    """Yield the hole after the last segment, within the span and while a session wanted the stream live."""
    live = [row for row in rows if not is_filled(row)]
    if not live:
        return
    last = max(live, key=lambda row: row["alive_until_ns"])
    if last["end_cause"] is None or last["end_cause"] in ASKED_FOR:
        return
    until_ns = min(asked.end_ns, ends.get(last["session_id"], last["alive_until_ns"]) or asked.end_ns)
    since_ns = max(asked.start_ns, *(row["alive_until_ns"] for row in rows))
    if until_ns > since_ns:
        yield _hole(since_ns, until_ns, last["end_cause"], last["detail"])


def _clipped(holes: Iterator[tuple[int, int, Any, Any]], asked: CoverageAsked) -> Iterator[dict[str, Any]]:
    for start_ns, end_ns, cause, detail in holes:
        if end_ns > asked.start_ns and start_ns < asked.end_ns:
            yield _hole(max(start_ns, asked.start_ns), min(end_ns, asked.end_ns), cause, detail)


def _hole(start_ns: int, end_ns: int, cause: str | None, detail: str | None) -> dict[str, Any]:
    return {"start_ns": start_ns, "end_ns": end_ns, "cause": cause, "detail": detail or ""}


def _stream(
    key: Sequence[str], rows: Sequence[Row], holes: list[dict[str, Any]], asked: CoverageAsked
) -> dict[str, Any]:
    """Return one stream; `covered` is the share that is covered of the time that it was wanted in.

    `filled` is the share of that which REST brought afterwards.
    """
    own_ns = covered_ns(rows, asked.start_ns, asked.end_ns)
    live_ns = covered_ns((row for row in rows if not is_filled(row)), asked.start_ns, asked.end_ns)
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
            "filled": is_filled(row),
        }
        for row in rows
    ]
    covered = None if total_ns == 0 else own_ns / total_ns
    filled = None if total_ns == 0 else (own_ns - live_ns) / total_ns
    shares = {"covered": covered, "filled": filled}
    return {**dict(zip(STREAM, key, strict=True)), **shares, "segments": segments, "holes": holes}
