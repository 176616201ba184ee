"""Read rows of one market page by page: states with their features, and trades."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from collector.database import Tables
from collector.events import Channel, iso_text
from collector.query.database import column_or_null, needed
from collector.query.pages.asked import Asked, Cursor, Page

FEATURES = (
    *("timestamp", "received_at_ns", "exchange_timestamp", "sequence", "segment_id", "depth"),
    *("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1", "mid_price", "spread", "spread_bps"),
    *("microprice", "order_book_imbalance", "total_bid_volume_10", "total_ask_volume_10", "ofi"),
    "data_quality_score",
)
TRADES = (
    *("timestamp", "received_at_ns", "exchange_timestamp", "trade_id", "price", "size", "side", "kind"),
    *("marked", "segment_id", "origin"),
)


def rows_page(
    connection: sa.Connection, tables: Tables, asked: Asked, *, trades: bool = False, depth: int | None = None
) -> Page:
    """Return a page of states, of the deepest book collected unless `depth` chooses; or of trades."""
    table = needed(connection, tables.trades) if trades else tables.hot
    names = TRADES if trades else FEATURES
    where = _of_market(table, asked)
    if not trades:
        where += _of_depth(connection, tables, asked, depth)
    at = table.c.timestamp
    if asked.start_ns is not None:
        where.append(at >= iso_text(asked.start_ns))
    if asked.end_ns is not None:
        where.append(at < iso_text(asked.end_ns))
    if asked.cursor is not None:
        where += _behind(table, asked.cursor, newest_first=asked.newest_first)
    order = (at.desc(), table.c.id.desc()) if asked.newest_first else (at, table.c.id)
    columns = (at, table.c.id, *(column_or_null(table, name) for name in names if name != "timestamp"))
    found = connection.execute(
        sa.select(*columns).where(*where).order_by(*order).limit(asked.limit + 1)
    ).all()
    rows = [[row[0], *row[2:]] for row in found[: asked.limit]]
    return Page(names, rows, _next(found, asked.limit))


def last_states(
    connection: sa.Connection, tables: Tables, asked: Asked, points: int, *, depth: int | None = None
) -> Page:
    """Return the last state before each of some even instants: one look into the index for each.

    `at_ns` is the instant. An instant is left out where the last state before it is older than the step.
    """
    assert asked.start_ns is not None  # noqa: S101  (the caller gives both ends)
    assert asked.end_ns is not None  # noqa: S101
    step_ns = max((asked.end_ns - asked.start_ns) // points, 1)
    edges_ns = [asked.start_ns + step_ns * place for place in range(1, points + 1)]
    edges = (
        sa.values(sa.column("at_ns", sa.BIGINT), sa.column("since", sa.TEXT), sa.column("until", sa.TEXT))
        .data([(edge, iso_text(edge - step_ns), iso_text(edge)) for edge in edges_ns])
        .cte("edges")
    )
    table = tables.hot
    where = [*_of_market(table, asked), *_of_depth(connection, tables, asked, depth)]
    last = (
        sa.select(table.c.id)
        .where(*where, table.c.timestamp >= edges.c.since, table.c.timestamp < edges.c.until)
        .order_by(table.c.timestamp.desc(), table.c.id.desc())
        .limit(1)
        .correlate(edges)
        .scalar_subquery()
    )
    chosen = sa.select(edges.c.at_ns, last.label("row_id")).cte("chosen")
    columns = (chosen.c.at_ns, *(table.c[name] for name in FEATURES))
    query = sa.select(*columns).join(table, table.c.id == chosen.c.row_id).order_by(chosen.c.at_ns)
    return Page(("at_ns", *FEATURES), [list(row) for row in connection.execute(query)])


def _of_market(table: sa.Table, asked: Asked) -> list[sa.ColumnElement[bool]]:
    return [table.c.symbol == asked.symbol, table.c.exchange == asked.exchange]


def _of_depth(
    connection: sa.Connection, tables: Tables, asked: Asked, depth: int | None
) -> list[sa.ColumnElement[bool]]:
    """Choose one of the books of a market that are collected at several depths; any where there is one."""
    if depth is not None:
        return [tables.hot.c.depth == depth]
    coverage = tables.coverage.c
    query = sa.select(coverage.channel).distinct()
    query = query.where(coverage.exchange == asked.exchange, coverage.symbol == asked.symbol)
    channels = [Channel.of(name) for name in connection.execute(query).scalars()]
    depths = {one.depth for one in channels if one.is_book and one.is_well_formed}
    return [tables.hot.c.depth == max(depths)] if len(depths) > 1 else []


def _behind(table: sa.Table, cursor: Cursor, *, newest_first: bool) -> list[sa.ColumnElement[bool]]:
    """Select what lies behind a row, in a form that the index over the times serves."""
    at, row_id = table.c.timestamp, table.c.id
    if newest_first:
        return [at <= cursor.at, sa.or_(at < cursor.at, row_id < cursor.row_id)]
    return [at >= cursor.at, sa.or_(at > cursor.at, row_id > cursor.row_id)]


def _next(found: Sequence[Any], limit: int) -> str | None:
    return str(Cursor(found[limit - 1][0], found[limit - 1][1])) if len(found) > limit else None
