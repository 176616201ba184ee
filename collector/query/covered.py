"""Read which intervals of a stream are covered, and where its holes are."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.query.between import holes_between, is_filled
from collector.query.database import Database, reading


@dataclass(frozen=True, slots=True)
class Selection:
    """Which streams to read; None means any."""

    symbol: str | None = None
    exchange: str | None = None
    channel: str | None = None


def coverage(
    db: Database,
    symbol: str | None = None,
    *,
    exchange: str | None = None,
    channel: str | None = None,
    table_name: str = DEFAULT_TABLE_NAME,
) -> pd.DataFrame:
    """Return the coverage segments, a row each, in the order of their beginning.

    `how` says whether what it covers came `live`, or REST `filled` it afterwards.
    """
    with reading(db, table_name) as (connection, tables):
        return segments(connection, tables, Selection(symbol, exchange, channel))


def gaps(
    db: Database,
    symbol: str | None = None,
    *,
    exchange: str | None = None,
    channel: str | None = None,
    table_name: str = DEFAULT_TABLE_NAME,
) -> pd.DataFrame:
    """Return the holes between the segments of each stream: from, until, and why coverage ended."""
    return holes(coverage(db, symbol, exchange=exchange, channel=channel, table_name=table_name))


def holes(found: pd.DataFrame) -> pd.DataFrame:
    """Return the holes between the segments of each stream: where none of them covers, in order of time."""
    stream = ["exchange", "symbol", "channel"]
    between: dict[str, list[object]] = {
        name: [] for name in (*stream, "from_ns", "until_ns", "cause", "detail")
    }
    for key, own in found.groupby(stream, sort=False):
        rows: Any = own.to_dict(orient="records")
        for hole in holes_between(rows):
            for name, value in zip(between, (*key, *hole), strict=True):
                between[name].append(value)
    return pd.DataFrame(between).astype({"from_ns": "int64", "until_ns": "int64"})


def segments(connection: sa.Connection, tables: Tables, selection: Selection) -> pd.DataFrame:
    """Read the segments that a selection names."""
    table = tables.coverage
    query = sa.select(table).order_by(table.c.exchange, table.c.symbol, table.c.channel, table.c.start_ns)
    for name in ("symbol", "exchange", "channel"):
        value = getattr(selection, name)
        if value is not None:
            query = query.where(table.c[name] == value)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    names = [column.name for column in table.columns]
    return pd.DataFrame(
        [{**row, "how": "filled" if is_filled(row) else "live"} for row in rows], columns=[*names, "how"]
    )


def alive_until(connection: sa.Connection, tables: Tables, symbol: str, exchange: str) -> dict[int, int]:
    """Return until when each segment of a symbol was known to be alive."""
    table = tables.coverage
    query = sa.select(table.c.segment_id, table.c.alive_until_ns).where(
        table.c.exchange == exchange, table.c.symbol == symbol
    )
    return dict(connection.execute(query).all())
