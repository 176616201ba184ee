"""Record archived days and delete their rows, in small transactions of the writer thread."""

import time
from collections.abc import Mapping

import sqlalchemy as sa

from collector.database.tables import Tables
from collector.export.days import Day, table_of, within

Value = str | int | None


def claim(connection: sa.Connection, tables: Tables, entry: Mapping[str, Value]) -> int:
    """Record that a file holds a day's rows: from now on loaders read them from there."""
    with connection.begin():
        connection.execute(sa.insert(tables.archive).values(**entry))
    return 0


def delete_slice(connection: sa.Connection, tables: Tables, day: Day, rows: int) -> int:
    """Delete at most `rows` of the day's rows that a file holds; return how many were deleted."""
    table = table_of(tables, day.kind)
    doomed = (
        sa.select(table.c.id)
        .where(
            table.c.symbol == day.symbol,
            table.c.exchange == day.exchange,
            *within(table, day.kind, day.date),
            table.c.id <= day.last_id,
        )
        .limit(rows)
    )
    with connection.begin():
        return connection.execute(sa.delete(table).where(table.c.id.in_(doomed))).rowcount


def finish(connection: sa.Connection, tables: Tables, path: str) -> int:
    """Record that all rows of a file are deleted from the table."""
    archive = tables.archive
    with connection.begin():
        connection.execute(sa.update(archive).where(archive.c.path == path).values(deleted_ns=time.time_ns()))
    return 0
