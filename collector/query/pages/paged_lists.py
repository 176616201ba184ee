"""Read events, sessions and the streams that are stored: short lists, the newest first."""

import json
from typing import Any

import sqlalchemy as sa

from collector.database import Tables
from collector.query.database import has_table

EVENT = ("id", "at_ns", "kind", "exchange", "symbol", "code", "detail")
SESSION = ("session_id", "started_ns", "ended_ns", "end_cause", "version", "host", "pid")


def events_page(
    connection: sa.Connection,
    tables: Tables,
    *,
    before: int | None,
    limit: int,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> tuple[list[dict[str, Any]], int | None]:
    """Return events, the newest first, and the id that the next page ends before."""
    table = tables.events
    if not has_table(connection, table):
        return [], None
    query = sa.select(*(table.c[name] for name in EVENT)).order_by(table.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(table.c.id < before)
    if start_ns is not None:
        query = query.where(table.c.at_ns >= start_ns)
    if end_ns is not None:
        query = query.where(table.c.at_ns < end_ns)
    found = _dicts(connection, query)
    return found[:limit], found[limit - 1]["id"] if len(found) > limit else None


def sessions_page(
    connection: sa.Connection, tables: Tables, *, before_ns: int | None, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Return runs of the program, the newest first, each with what it was to collect."""
    table, accounting = tables.sessions, tables.accounting
    written = (
        sa.select(sa.func.max(accounting.c.updated_ns))
        .where(accounting.c.session_id == table.c.session_id)
        .scalar_subquery()
    )
    columns = (*(table.c[name] for name in SESSION), table.c.wanted, written.label("written_ns"))
    query = sa.select(*columns).order_by(table.c.started_ns.desc()).limit(limit + 1)
    if before_ns is not None:
        query = query.where(table.c.started_ns < before_ns)
    found = _dicts(connection, query)
    for one in found:
        one["wanted"] = json.loads(one["wanted"])
    return found[:limit], found[limit - 1]["started_ns"] if len(found) > limit else None


def stored_streams(connection: sa.Connection, tables: Tables) -> list[dict[str, Any]]:
    """Return each stream of which something is covered, with the span from its first segment to its last."""
    table = tables.coverage
    names = (table.c.exchange, table.c.symbol, table.c.channel)
    query = (
        sa.select(
            *names,
            sa.func.min(table.c.start_ns).label("first_ns"),
            sa.func.max(table.c.alive_until_ns).label("last_ns"),
        )
        .group_by(*names)
        .order_by(*names)
    )
    return _dicts(connection, query)


def latest_trade(
    connection: sa.Connection, tables: Tables, exchange: str, symbol: str
) -> dict[str, Any] | None:
    """Return the newest trade of a market; None where none is stored."""
    table = tables.trades
    if not has_table(connection, table):
        return None
    columns = (
        table.c.trade_id,
        table.c.price,
        table.c.size,
        table.c.side,
        table.c.exchange_timestamp,
        table.c.received_at_ns,
    )
    query = (
        sa.select(*columns)
        .where(table.c.symbol == symbol, table.c.exchange == exchange)
        .order_by(table.c.timestamp.desc(), table.c.id.desc())
        .limit(1)
    )
    return next(iter(_dicts(connection, query)), None)


def _dicts(connection: sa.Connection, query: "sa.Select[Any]") -> list[dict[str, Any]]:
    """Return rows by name, as plain text: SQLAlchemy's own names are more than that."""
    found = connection.execute(query)
    names = [str(name) for name in found.keys()]  # noqa: SIM118  (no dict)
    return [dict(zip(names, row, strict=True)) for row in found]
