"""Open a database for reading, whatever the caller has in hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path

import sqlalchemy as sa

from collector.errors import QueryError
from collector.sinks.database_url import database_url, shown, sqlite_path
from collector.sinks.engine import make_engine
from collector.sinks.schema import DEFAULT_TABLE_NAME, Tables, tables

Database = str | PathLike[str] | sa.URL | sa.Engine


@contextmanager
def reading(
    database: Database, table_name: str = DEFAULT_TABLE_NAME
) -> Iterator[tuple[sa.Connection, Tables]]:
    """Yield one read-only transaction, in which all questions see the same moment."""
    engine = database if isinstance(database, sa.Engine) else open_for_reading(database)
    try:
        with engine.connect() as connection:
            _check_tables(connection, table_name)
            yield connection, tables(table_name)
    finally:
        if engine is not database:
            engine.dispose()


def open_for_reading(database: str | PathLike[str] | sa.URL) -> sa.Engine:
    """Return an engine that cannot write, for a database that must be there."""
    url = database_url(database if isinstance(database, sa.URL) else fspath(database))
    path = sqlite_path(url)
    if path is not None and not Path(path).is_file():
        raise QueryError(f"there is no database at {path}; to make one: python run.py demo")
    return make_engine(url, read_only=True)


def _check_tables(connection: sa.Connection, table_name: str) -> None:
    wanted = {table.name for table in (tables(table_name).hot, tables(table_name).coverage)}
    try:
        missing = wanted - set(sa.inspect(connection).get_table_names())
    except sa.exc.DBAPIError as error:
        where = shown(connection.engine.url)
        raise QueryError(f"{where} cannot be read as a database: {error.orig}") from None
    if missing:
        where = shown(connection.engine.url)
        raise QueryError(
            f"{where} has no table {', '.join(sorted(missing))}; expected a database that the collector "
            "wrote (is another table name configured? see --table)"
        )
