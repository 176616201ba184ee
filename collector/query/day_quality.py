"""Say how good a day of each stream was: what is stored, covered and missing, how late it came.

A day is one of UTC. What was computed of a finished day stands in `collector_day_quality`, for each
book table its own rows; of any other day it is computed from what the database has now.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from collector.database import DAY_DIGITS, DEFAULT_TABLE_NAME, Tables, make_tables
from collector.events import Channel
from collector.query.between import union
from collector.query.database import Database, has_table, reading
from collector.query.instants import DAY_NS, midnight_ns
from collector.query.other_tables import other_book_tables
from collector.query.pages import ASKED_FOR, CoverageAsked, coverage_page
from collector.query.stored_day import StoredDay

KEY = ("day", "exchange", "symbol", "channel")  # of one book table
GRACE_NS = 600 * 10**9  # after midnight: what waits is written by then
MOST_DAYS = 366  # that are made up
_ALL = 1_000_000  # segments of a day
_NS = 1e9

Row = dict[str, Any]


def day_text(at_ns: int) -> str:
    """Return the day of an instant, like 2026-01-31."""
    return datetime.fromtimestamp(at_ns // 10**9, UTC).date().isoformat()


def days_due(connection: sa.Connection, tables: Tables, now_ns: int) -> list[str]:
    """Return the finished days that have no report yet, the oldest first; those before the last that has.

    A day is finished some minutes after its end, when what waited is written.
    """
    if not has_table(connection, tables.quality):
        return []
    coverage, quality = tables.coverage, tables.quality
    last = connection.execute(sa.select(sa.func.max(quality.c.day)).where(_of_table(tables))).scalar()
    first_ns = connection.execute(sa.select(sa.func.min(coverage.c.start_ns))).scalar()
    until = date.fromisoformat(day_text(now_ns - GRACE_NS))  # this one is not over, or only just
    if last is not None:
        begin = date.fromisoformat(last) + timedelta(days=1)
    elif first_ns is not None:
        begin = max(date.fromisoformat(day_text(first_ns)), _first_day(connection, tables))
    else:
        return []
    begin = max(begin, until - timedelta(days=MOST_DAYS))
    return [(begin + timedelta(days=number)).isoformat() for number in range((until - begin).days)]


def quality_of_day(connection: sa.Connection, tables: Tables, day: str, now_ns: int) -> Iterator[Row]:
    """Compute a row for each stream that was covered, or missing, at any time of a day."""
    start_ns = midnight_ns(day)
    end_ns = min(start_ns + DAY_NS, max(now_ns, start_ns))
    streams, _ = coverage_page(connection, tables, CoverageAsked(start_ns, end_ns), _ALL)
    ended = _ended(connection, tables, start_ns, end_ns)
    keys = [(one["exchange"], one["symbol"], one["channel"]) for one in streams]
    stored = StoredDay(connection, tables, day, keys)
    elsewhere = [
        StoredDay(connection, make_tables(name), day, keys)
        for name in other_book_tables(connection, tables.hot)
    ]
    for key, one in zip(keys, streams, strict=True):
        if elsewhere and Channel.of(key[2]).is_book and _is_of_another(stored, elsewhere, key):
            continue
        rows, size = stored.rows(*key)
        yield {
            **dict(zip(KEY, (day, *key), strict=True)),
            "rows": rows,
            "bytes": size,
            **_covered(one, start_ns, end_ns),
            **ended.get(key, {"resyncs": 0, "witnessed": 0, "disagreed": 0}),
            **stored.lag(*key),
            "computed_ns": now_ns,
        }


def quality(
    database: Database,
    days: Sequence[str] | None = None,
    *,
    table_name: str = DEFAULT_TABLE_NAME,
    now_ns: int | None = None,
) -> list[Row]:
    """Return the report of these days, in order; without `days`, of the last one that has one, or of today.

    Of a day without a stored report it is computed now; `kept` says which it is.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    with reading(database, table_name) as (connection, tables):
        there = has_table(connection, tables.quality)
        if days is None:
            last = (
                connection.execute(
                    sa.select(sa.func.max(tables.quality.c.day)).where(_of_table(tables))
                ).scalar()
                if there
                else None
            )
            days = [last or day_text(now_ns)]
        return [
            one
            for day in days
            for one in (_kept(connection, tables, day) if there else [])
            or [{**row, "kept": False} for row in quality_of_day(connection, tables, day, now_ns)]
        ]


def kept_quality(
    connection: sa.Connection, tables: Tables, *, day: str | None = None, days: int = 1
) -> list[Row]:
    """Return the kept report of a day, or of the last ones that have one, the newest day first."""
    table = tables.quality
    if not has_table(connection, table):
        return []
    newest = (
        sa.select(table.c.day).where(_of_table(tables)).distinct().order_by(table.c.day.desc()).limit(days)
    )
    is_wanted = table.c.day.in_(newest) if day is None else table.c.day == day
    query = _told(tables).where(is_wanted).order_by(table.c.day.desc(), *(table.c[one] for one in KEY[1:]))
    rows = _dicts(connection, query)
    return [{**row, "holes_by_cause": json.loads(row["holes_by_cause"])} for row in rows]


def kept_days(connection: sa.Connection, tables: Tables) -> list[str]:
    """Return the days that have a report, the newest first, a year of them at most."""
    if not has_table(connection, tables.quality):
        return []
    day = tables.quality.c.day
    return list(
        connection.scalars(
            sa.select(day).where(_of_table(tables)).distinct().order_by(day.desc()).limit(MOST_DAYS)
        )
    )


def _kept(connection: sa.Connection, tables: Tables, day: str) -> list[Row]:
    table = tables.quality
    query = _told(tables).where(table.c.day == day).order_by(*(table.c[name] for name in KEY))
    return [{**row, "kept": True} for row in _dicts(connection, query)]


def _of_table(tables: Tables) -> "sa.ColumnElement[bool]":
    return tables.quality.c.table_name == tables.hot.name


def _told(tables: Tables) -> "sa.Select[Any]":
    """Return the question for the rows of this book table, without its name."""
    columns = [one for one in tables.quality.columns if one.name != "table_name"]
    return sa.select(*columns).where(_of_table(tables))


def _first_day(connection: sa.Connection, tables: Tables) -> date:
    """Return from which day a book table reports: the oldest from the start, others from their first row."""
    own = _first_row(connection, tables.hot)
    others = [make_tables(name).hot for name in other_book_tables(connection, tables.hot)]
    is_oldest = not any("" < _first_row(connection, other) < own for other in others)
    return date.min if is_oldest else date.fromisoformat(own[:DAY_DIGITS])


def _first_row(connection: sa.Connection, hot: sa.Table) -> str:
    """Return when the first row of a book table was received, as text; empty where there is none."""
    return connection.execute(sa.select(hot.c.timestamp).order_by(hot.c.id).limit(1)).scalar() or ""


def _dicts(connection: sa.Connection, query: "sa.Select[Any]") -> list[Row]:
    """Return rows by name, as plain text: SQLAlchemy's own names are more than that."""
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]


def _is_of_another(stored: StoredDay, elsewhere: Sequence[StoredDay], key: tuple[str, str, str]) -> bool:
    """Return whether a book went to another table, whose report has it."""
    return not stored.has_rows(*key) and any(other.has_rows(*key) for other in elsewhere)


def _covered(stream: Mapping[str, Any], start_ns: int, end_ns: int) -> Row:
    """Return what was covered of a stream, and the holes in it."""
    causes: dict[str, dict[str, float]] = {}
    for hole in stream["holes"]:
        one = causes.setdefault(hole["cause"] or "unknown", {"holes": 0, "seconds": 0.0})
        one["holes"] += 1
        one["seconds"] += (hole["end_ns"] - hole["start_ns"]) / _NS
    missing_s = sum(one["seconds"] for one in causes.values())
    spans = union(
        (max(one["start_ns"], start_ns), min(one["end_ns"], end_ns))
        for one in stream["segments"]
        if one["start_ns"] < end_ns
    )
    return {
        "covered_s": sum(until - since for since, until in spans) / _NS,
        "covered": stream["covered"],
        "filled": stream["filled"],
        "holes": len(stream["holes"]),
        "holes_s": missing_s,
        "holes_by_cause": json.dumps(causes, sort_keys=True),
    }


def _ended(
    connection: sa.Connection, tables: Tables, start_ns: int, end_ns: int
) -> dict[tuple[str, str, str], Row]:
    """Count, by stream, of the segments that ended within a span: ends that nobody asked for, comparisons."""
    table = tables.coverage
    names = (table.c.exchange, table.c.symbol, table.c.channel)
    unasked = sa.case((table.c.end_cause.in_(sorted(ASKED_FOR)), 0), else_=1)
    query = (
        sa.select(
            *names,
            sa.func.sum(unasked).label("resyncs"),
            sa.func.sum(table.c.witnessed).label("witnessed"),
            sa.func.sum(table.c.disagreed).label("disagreed"),
        )
        .where(
            table.c.end_cause.is_not(None),
            table.c.alive_until_ns >= start_ns,
            table.c.alive_until_ns < end_ns,
        )
        .group_by(*names)
    )
    return {
        (row.exchange, row.symbol, row.channel): {
            "resyncs": int(row.resyncs),
            "witnessed": int(row.witnessed),
            "disagreed": int(row.disagreed),
        }
        for row in connection.execute(query)
    }
