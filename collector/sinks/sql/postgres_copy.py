"""Insert columns of values into PostgreSQL by binary COPY, inside the transaction that is open."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from collector.sinks.contract import Value
from collector.sinks.sql import multi_row

if TYPE_CHECKING:
    import psycopg

_WORTH_A_COPY = 40  # rows; below that, one statement is quicker than the four of a COPY by stages
# A row that was changed carries the mark of the transaction that locked it for that.
_IS_NEW = " RETURNING (xmax = 0)"
_TYPES = {
    "TEXT": "text",
    "BIGINT": "int8",
    "DOUBLE PRECISION": "float8",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}


def insert(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Sequence[Value]]) -> None:
    """Insert the rows, given as columns of one length."""
    _copy(connection, table, connection.dialect.identifier_preparer.format_table(table), columns)


def insert_unless(
    connection: sa.Connection, table: sa.Table, columns: Mapping[str, Sequence[Value]], conflict: str
) -> int:
    """Insert rows of which some may be there already; return how many were new.

    COPY knows no ON CONFLICT, so many rows go by way of a table that this connection alone sees.
    """
    if len(next(iter(columns.values()))) < _WORTH_A_COPY:
        return multi_row.insert(connection, table, columns, conflict + _IS_NEW)
    quote = connection.dialect.identifier_preparer
    target, stage = quote.format_table(table), quote.quote(f"{table.name}_stage")
    names = ", ".join(quote.quote(name) for name in columns)
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS "
        f"AS SELECT * FROM {target} WITH NO DATA"
    )
    _copy(connection, table, f"pg_temp.{stage}", columns)
    new = connection.exec_driver_sql(
        f"WITH done (is_new) AS (INSERT INTO {target} ({names}) SELECT {names} FROM pg_temp.{stage}"
        f"{conflict}{_IS_NEW}) SELECT COUNT(*) FILTER (WHERE is_new) FROM done"
    ).scalar_one()
    connection.exec_driver_sql(f"DELETE FROM pg_temp.{stage}")  # more rows may come in this transaction
    return int(new)


def _copy(
    connection: sa.Connection, table: sa.Table, into: str, columns: Mapping[str, Sequence[Value]]
) -> None:
    quote = connection.dialect.identifier_preparer
    chosen = [table.columns[name] for name in columns]  # KeyError: not a column of ours
    names = ", ".join(quote.format_column(column) for column in chosen)
    statement = f"COPY {into} ({names}) FROM STDIN (FORMAT BINARY)"
    driver = cast("psycopg.Connection[tuple[object, ...]]", connection.connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        # Binary has no casts: without the types an int would go out as int2 and be refused.
        copy.set_types([_TYPES[str(column.type.compile(connection.dialect))] for column in chosen])
        for row in zip(*columns.values(), strict=True):
            copy.write_row(row)
