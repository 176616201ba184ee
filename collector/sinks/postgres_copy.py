"""Insert columns of values into PostgreSQL by binary COPY, inside the transaction that is open."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from collector.sinks.contract import Value

if TYPE_CHECKING:
    import psycopg

_TYPES = {
    "TEXT": "text",
    "BIGINT": "int8",
    "DOUBLE PRECISION": "float8",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}


def insert(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Sequence[Value]]) -> None:
    """Insert the rows, given as columns of one length."""
    quote = connection.dialect.identifier_preparer
    chosen = [table.columns[name] for name in columns]  # KeyError: not a column of ours
    names = ", ".join(quote.format_column(column) for column in chosen)
    statement = f"COPY {quote.format_table(table)} ({names}) FROM STDIN (FORMAT BINARY)"
    driver = cast("psycopg.Connection[tuple[object, ...]]", connection.connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        # Binary has no casts: without the types an int would go out as int2 and be refused.
        copy.set_types([_TYPES[str(column.type.compile(connection.dialect))] for column in chosen])
        for row in zip(*columns.values(), strict=True):
            copy.write_row(row)
