"""Read bars of one market page by page, each as it was told last."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from collector.database import Tables
from collector.query.clock_steps import ClockSteps
from collector.query.database import as_stored, column_or_null, distinct_values, has_table, needed
from collector.query.pages.asked import Asked, Cursor, Page

BARS = (
    *("open_time", "timestamp", "open", "high", "low", "close", "volume", "vwap", "count", "confirmed"),
    *("origin", "received_at_ns", "segment_id"),
)
_NS_A_MS = 1_000_000


def intervals_stored(connection: sa.Connection, tables: Tables, exchange: str, symbol: str) -> list[str]:
    """Return the intervals of which a market has bars."""
    table = needed(connection, tables.ohlcv)
    return distinct_values(
        connection, table.c.interval, table.c.symbol == symbol, table.c.exchange == exchange
    )


def bars_page(connection: sa.Connection, tables: Tables, asked: Asked, interval: str) -> Page:
    """Return a page of bars in the order of their opening; `open_time` is in ms."""
    table = needed(connection, tables.ohlcv)
    where = [*_of(table, asked, interval), *_within(table, asked)]
    opened = table.c.open_time
    order = opened.desc() if asked.newest_first else opened
    query = (
        sa.select(*(column_or_null(table, name) for name in BARS))
        .where(*where)
        .order_by(order)
        .limit(asked.limit + 1)
    )
    found = [list(row) for row in connection.execute(query)]
    rows = found[: asked.limit]
    if rows and has_table(connection, tables.ohlcv_corrections):
        _correct(connection, tables, asked, interval, rows)
    following = str(Cursor(str(rows[-1][0]), rows[-1][0])) if len(found) > asked.limit else None
    return Page(BARS, rows, following)


def _of(table: sa.Table, asked: Asked, interval: str) -> list[sa.ColumnElement[bool]]:
    return [
        table.c.symbol == asked.symbol,
        table.c.exchange == asked.exchange,
        table.c.interval == interval,
    ]


def _within(table: sa.Table, asked: Asked) -> list[sa.ColumnElement[bool]]:
    opened = table.c.open_time
    where: list[sa.ColumnElement[bool]] = []
    if asked.start_ns is not None:
        where.append(opened >= -(-asked.start_ns // _NS_A_MS))
    if asked.end_ns is not None:
        where.append(opened < -(-asked.end_ns // _NS_A_MS))
    if asked.cursor is not None:
        behind = asked.cursor.row_id
        where.append(opened < behind if asked.newest_first else opened > behind)
    return where


def _correct(
    connection: sa.Connection, tables: Tables, asked: Asked, interval: str, rows: list[list[Any]]
) -> None:
    """Replace bars by what was told of them later, by the clock that was right."""
    table = as_stored(connection, tables.ohlcv_corrections)
    first, last = sorted((rows[0][0], rows[-1][0]))
    query = (
        sa.select(*(column_or_null(table, name) for name in BARS))
        .where(*_of(table, asked, interval), table.c.open_time.between(first, last))
        .order_by(table.c.id)
    )
    told = [list(row) for row in connection.execute(query)]
    if not told:
        return
    steps = ClockSteps.read(connection, tables)
    offs_ns = steps.offs_ns(connection, tables, asked.exchange, asked.symbol)
    places = {row[0]: place for place, row in enumerate(rows)}
    for row in told:
        place = places.get(row[0])
        if place is not None and _received_ns(row, offs_ns) >= _received_ns(rows[place], offs_ns):
            rows[place] = row


def _received_ns(row: list[Any], offs_ns: Mapping[int, int]) -> int:
    received_ns, segment_id = row[-2:]
    return (received_ns or 0) + offs_ns.get(segment_id, 0)
