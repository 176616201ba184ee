"""List the symbols that are stored."""

import pandas as pd
import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME
from collector.query.database import Database, distinct_values, has_table, reading
from collector.query.rows import Archive

COLUMNS = ("table", "exchange", "symbol", "first", "last")


def symbols(db: Database, *, table_name: str = DEFAULT_TABLE_NAME) -> pd.DataFrame:
    """Return the symbols and exchanges in each table, and the span of their rows.

    >>> symbols("live.db")  # doctest: +SKIP
    """
    found: list[tuple[str, str, str, str, str]] = []
    with reading(db, table_name) as (connection, tables):
        named = {
            "features": tables.hot,
            "levels": tables.levels,
            "trades": tables.trades,
            "ohlcv": tables.ohlcv,
        }
        for name, table in named.items():
            if has_table(connection, table):
                found += [(name, *row) for row in _spans(connection, table)]
                archive = Archive.read(connection, tables, table)
                found += [
                    (name, part.exchange, part.symbol, part.date, part.next_date) for part in archive.parts
                ]
    frame = pd.DataFrame(found, columns=list(COLUMNS))
    for name in ("first", "last"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601").dt.as_unit("ns")
    # Of rows that were moved to files only the day is known.
    return frame.groupby(list(COLUMNS[:3]), as_index=False, sort=False).agg({"first": "min", "last": "max"})


def _spans(connection: sa.Connection, table: sa.Table) -> list[tuple[str, str, str, str]]:
    at = table.c.timestamp
    spans: list[tuple[str, str, str, str]] = []
    for symbol in distinct_values(connection, table.c.symbol):
        for exchange in distinct_values(connection, table.c.exchange, table.c.symbol == symbol):
            own = (table.c.symbol == symbol, table.c.exchange == exchange)
            first = connection.execute(sa.select(sa.func.min(at)).where(*own)).scalar_one()
            last = connection.execute(sa.select(sa.func.max(at)).where(*own)).scalar_one()
            spans.append((exchange, symbol, first, last))
    return sorted(spans)
