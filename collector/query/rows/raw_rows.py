"""Read the rows of a query into flat arrays, a chunk at a time.

SQLite: the driver's own rows go straight into a record array, and no list of them is ever kept; where a
child process reads beside the connection, its arrays are taken.
PostgreSQL: binary COPY has numbers as they lie in an array, in the other byte order.
"""

from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import sqlalchemy as sa

from collector.database import sqlite_library
from collector.query.fast import ChildFailed, Reader, reader_of, tell_of
from collector.query.rows.binary_copy import are_copied, copied_rows, from_copy, numbers_first
from collector.query.rows.columns import CATEGORIES, NO_INT, Array, Kind, dtype_of, kind_of

if TYPE_CHECKING:
    import psycopg

CHUNK_ROWS = 65_536
FEWEST_CHUNK_ROWS = 4_096  # who wants fewer at a time stops early, or asks often


def chunks(
    connection: sa.Connection, query: "sa.Select[Any]", chunk_rows: int = CHUNK_ROWS
) -> Generator[dict[str, Array], None, None]:
    """Yield the columns of the query, `chunk_rows` rows at a time; NULL is NaN, NO_INT or None."""
    kinds = {column.name: kind_of(column) for column in query.selected_columns}
    filled = query.with_only_columns(
        *(_filled(column, connection.dialect.name) for column in query.selected_columns)
    )
    if connection.dialect.name == "sqlite":
        reader = reader_of(connection) if chunk_rows >= FEWEST_CHUNK_ROWS else None
        if reader is not None:
            return _from_child(connection, filled, kinds, chunk_rows, reader)
        return _from_sqlite(connection, filled, kinds, chunk_rows)
    is_long = chunk_rows >= FEWEST_CHUNK_ROWS or "text" not in kinds.values()
    if connection.dialect.driver == "psycopg" and is_long and are_copied(filled, kinds):
        return _by_copy(connection, filled, kinds, chunk_rows)
    return _by_cursor(connection, filled, kinds, chunk_rows)


def _filled(column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    """Replace NULL where an array cannot hold it."""
    kind = kind_of(column)
    if kind == "int":
        return sa.func.coalesce(column, sa.literal(NO_INT, sa.BIGINT)).label(column.name)
    if kind == "float" and dialect != "sqlite":
        return sa.func.coalesce(column, sa.text("'NaN'::float8")).label(column.name)
    return column.label(column.name)


def _from_child(
    connection: sa.Connection,
    query: "sa.Select[Any]",
    kinds: Mapping[str, Kind],
    chunk_rows: int,
    reader: Reader,
) -> Generator[dict[str, Array], None, None]:
    """Yield the rows that a child reads; from where it fails on, the same rows are read here."""
    done = 0
    words = [name for name in kinds if name in CATEGORIES]
    try:
        with closing(reader.rows(*_compiled(connection, query), kinds, words)) as found:
            for chunk in found:
                yield chunk
                done += len(next(iter(chunk.values())))
            return
    except ChildFailed as error:
        tell_of(error)
    yield from _from_sqlite(connection, query, kinds, chunk_rows, done)


def _compiled(connection: sa.Connection, query: "sa.Select[Any]") -> tuple[str, list[Any]]:
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    return str(compiled), [compiled.params[name] for name in compiled.positiontup or ()]


def _from_sqlite(
    connection: sa.Connection,
    query: "sa.Select[Any]",
    kinds: Mapping[str, Kind],
    chunk_rows: int,
    done: int = 0,
) -> Generator[dict[str, Array], None, None]:
    record = np.dtype([(name, dtype_of(kind)) for name, kind in kinds.items()])
    sql, values = _compiled(connection, query)
    if done:  # in one transaction they come in the same order again
        sql = f"SELECT * FROM ({sql}) LIMIT -1 OFFSET {done}"
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101  (the connection is open)
    cursor = driver.cursor()
    try:
        cursor.execute(sql, values)
        while len(rows := np.fromiter(islice(cursor, chunk_rows), dtype=record)):
            yield {name: np.ascontiguousarray(rows[name]) for name in kinds}
    finally:
        with suppress(sqlite_library().ProgrammingError):  # left behind by its reader, and the file is closed
            cursor.close()


def _by_copy(
    connection: sa.Connection, query: "sa.Select[Any]", kinds: Mapping[str, Kind], chunk_rows: int
) -> Generator[dict[str, Array], None, None]:
    columns = {column.name: column for column in query.selected_columns}
    query = query.with_only_columns(*(columns[name] for name in numbers_first(kinds)))
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    driver = cast("psycopg.Connection[tuple[object, ...]]", connection.connection.driver_connection)
    statement = f"COPY ({compiled}) TO STDOUT (FORMAT BINARY)"
    # Whoever stops early cancels it, which fails what it is in: not the whole transaction.
    with (
        driver.transaction(),
        driver.cursor() as cursor,
        cursor.copy(statement.encode(), dict(compiled.params)) as copy,
    ):
        for rows in copied_rows(iter(copy), kinds, chunk_rows):
            yield from_copy(rows, kinds, driver.info.encoding)


def _by_cursor(
    connection: sa.Connection, query: "sa.Select[Any]", kinds: Mapping[str, Kind], chunk_rows: int
) -> Generator[dict[str, Array], None, None]:
    found = connection.execute(query, execution_options={"yield_per": chunk_rows})
    try:
        for rows in found.partitions():
            columns = zip(*rows, strict=True)
            yield {
                name: np.array(values, dtype=dtype_of(kind))
                for (name, kind), values in zip(kinds.items(), columns, strict=True)
            }
    finally:
        found.close()
