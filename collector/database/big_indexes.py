"""Build the indexes that a big table from elsewhere lacks, outside the one transaction of a migration.

In it an index over millions of rows would keep everybody who writes the table waiting. PostgreSQL builds it
beside them (CONCURRENTLY). SQLite cannot: there it is said before it begins how long it may take.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn, CreateIndex

from collector.database.faults import opening_error
from collector.database.revisions import serves
from collector.database.url import shown, sqlite_path
from collector.loggers import get_logger

BIG_BYTES: Final = 64_000_000  # a smaller table is done within a moment
BYTES_A_S: Final = 18_000_000  # of a table, on two busy cores

log = get_logger(__name__)


def build_big_indexes(
    engine: sa.Engine,
    table: sa.Table,
    *,
    big_bytes: int = BIG_BYTES,
    changing: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> None:
    """Say which indexes of a big table are missing, and on a server build them without stopping writers.

    Columns that they need come first: a new one is empty, and costs nothing.
    """
    with engine.connect() as connection:
        missing = _missing(connection, table)
        size = _size(connection, table) if missing else 0
    if size < big_bytes:
        return
    is_server = engine.dialect.name == "postgresql"
    for index in missing:
        log.warning(
            "database.index_begins",
            table=table.name,
            index=index.name,
            size_bytes=size,
            may_take_s=round(size / BYTES_A_S),
            meanwhile="others go on writing" if is_server else "nobody else can write this file",
        )
    if is_server:
        with changing():
            for index in missing:
                _build_beside_others(engine, table.name, index)


def _missing(connection: sa.Connection, table: sa.Table) -> list[sa.Index]:
    inspector = sa.inspect(connection)
    if not inspector.has_table(table.name):
        return []
    broken = broken_off(connection, table)
    present = [one for one in inspector.get_indexes(table.name) if one["name"] not in broken]
    return sorted(
        (index for index in table.indexes if not any(serves(there, index) for there in present)),
        key=lambda index: str(index.name),
    )


def broken_off(connection: sa.Connection, table: sa.Table) -> set[str]:
    """Return the indexes that a server began to build and did not finish: nothing is found by them."""
    if connection.engine.dialect.name != "postgresql":
        return set()
    text = """
        SELECT one.relname FROM pg_index JOIN pg_class one ON one.oid = indexrelid
        JOIN pg_class owner ON owner.oid = indrelid
        WHERE owner.relname = :name AND pg_table_is_visible(owner.oid) AND NOT indisvalid
    """
    return set(connection.execute(sa.text(text), {"name": table.name}).scalars())


def _size(connection: sa.Connection, table: sa.Table) -> int:
    path = sqlite_path(connection.engine.url)
    if path is not None:
        return path.stat().st_size  # of the whole file: a table's own is not known without reading it
    from sqlalchemy.dialects.postgresql import REGCLASS  # noqa: PLC0415  (nothing of it is needed for SQLite)

    question = sa.select(sa.func.pg_table_size(sa.cast(table.name, REGCLASS)))
    return int(connection.execute(question).scalar_one())


def _build_beside_others(engine: sa.Engine, name_of_table: str, index: sa.Index) -> None:
    name = engine.dialect.identifier_preparer.format_index(index)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql("SET lock_timeout = '60s'")
            for column in _empty_copies(name_of_table, index):
                added = str(CreateColumn(column).compile(dialect=engine.dialect))
                table = engine.dialect.identifier_preparer.format_table(column.table)
                connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {added}")
            # What a try that was broken off has left is no index, and would stand in the way.
            connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            statement = str(CreateIndex(index).compile(dialect=engine.dialect))
            connection.exec_driver_sql(statement.replace(" INDEX ", " INDEX CONCURRENTLY ", 1))
        except DBAPIError as error:
            text = f"the index {index.name} of {shown(engine.url)} cannot be built: {error.orig}"
            raise opening_error(error, text) from error
        finally:
            connection.invalidate()  # its time limits are not those of a writer
    log.info("database.index_built", index=index.name)


def _empty_copies(table_name: str, index: sa.Index) -> list["sa.Column[object]"]:
    """Return the columns of an index as a migration adds them: without what only a new table can have."""
    copies: list[sa.Column[object]] = [
        sa.Column(one.name, one.type, server_default=one.server_default) for one in index.columns
    ]
    sa.Table(table_name, sa.MetaData(), *copies)
    return copies
