"""Open a database for reading: a path, a URL, an engine or a running ingestor."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import sqlalchemy as sa

from collector.database import (
    DEFAULT_TABLE_NAME,
    Tables,
    database_url,
    make_engine,
    make_tables,
    shown,
    sqlite_path,
)
from collector.errors import DatabaseAway, MissingExtra, QueryError
from collector.masking import passwords_in, without

# An older database is read without them, and not migrated for that.
LATER_COLUMNS = ("origin", "first_trade_id", "last_trade_id")


def extra(module: str, name: str) -> Any:
    """Return the module; MissingExtra names the extra that brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        package = {"sklearn": "scikit-learn"}.get(module.partition(".")[0], module.partition(".")[0])
        raise MissingExtra(package, name) from None


@runtime_checkable
class HasDatabase(Protocol):
    """A running ingestor, or anything else that has a database."""

    @property
    def database_url(self) -> str | sa.URL:
        """Return the URL of the database."""


Database = str | PathLike[str] | sa.URL | sa.Engine | HasDatabase


@contextmanager
def reading(
    database: Database, table_name: str = DEFAULT_TABLE_NAME
) -> Iterator[tuple[sa.Connection, Tables]]:
    """Yield one read-only transaction, in which all queries see the same moment.

    Raises DatabaseAway where the database cannot be opened: without a password, which a driver may repeat.
    """
    engine, is_ours = _engine(database)
    try:
        with _connected(engine) as connection:
            if connection.dialect.name == "postgresql":  # by default each query would see its own moment
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            known = make_tables(table_name)
            _check_tables(connection, (known.hot, known.coverage))
            yield connection, known
    finally:
        if is_ours:
            engine.dispose()


def _connected(engine: sa.Engine) -> sa.Connection:
    try:
        return engine.connect()
    except sa.exc.DBAPIError as error:
        words = str(error.orig or error).strip().partition("\n")[0]
        told = without(words, passwords_in(engine.url.render_as_string(hide_password=False)))
        raise DatabaseAway(f"the database {shown(engine.url)} cannot be read now: {told}") from None


def open_for_reading(database: str | PathLike[str] | sa.URL) -> sa.Engine:
    """Return an engine that cannot write, for a database that must be there."""
    url = database_url(database if isinstance(database, sa.URL) else fspath(database))
    path = sqlite_path(url)
    if path is not None and not Path(path).is_file():
        raise QueryError(f"there is no database at {path}; to make one: python run.py demo")
    return make_engine(url, read_only=True)


def has_table(connection: sa.Connection, table: sa.Table) -> bool:
    """Return whether the table exists."""
    return sa.inspect(connection).has_table(table.name)


def needed(connection: sa.Connection, table: sa.Table) -> sa.Table:
    """Return the table, or raise QueryError saying how to get it."""
    if not has_table(connection, table):
        where = shown(connection.engine.url)
        raise QueryError(
            f"{where} has no table {table.name}: an older version wrote it. "
            f"To bring it up to date: python run.py migrate up --db {where}"
        )
    return _in_its_version(connection, table)


def as_stored(connection: sa.Connection, table: sa.Table) -> sa.Table:
    """Return the table without the columns that came later, where an older version made it."""
    is_there = not _came_later(table) or has_table(connection, table)
    return _in_its_version(connection, table) if is_there else table


def _in_its_version(connection: sa.Connection, table: sa.Table) -> sa.Table:
    later = _came_later(table)
    if not later:
        return table
    # One question; to reflect the table takes a dozen on a server.
    nothing = sa.select(sa.text("*")).select_from(table).limit(0)
    present = set(connection.execute(nothing).keys())
    if present.issuperset(later):
        return table
    known = [sa.Column(column.name, column.type) for column in table.columns if column.name in present]
    return sa.Table(table.name, sa.MetaData(), *known)


def _came_later(table: sa.Table) -> list[str]:
    return [name for name in LATER_COLUMNS if name in table.c]


def column_or_null(table: sa.Table, name: str) -> "sa.ColumnElement[Any]":
    """Return a column, or NULL where an older version made the table without it."""
    return table.c[name] if name in table.c else sa.null().label(name)


def distinct_values(
    connection: sa.Connection, column: sa.ColumnElement[str], *where: sa.ColumnElement[bool]
) -> list[str]:
    """Return the different values of an indexed column, one indexed lookup for each."""
    found: list[str] = []
    query = sa.select(column).where(*where).order_by(column).limit(1)
    while True:
        following = query.where(column > found[-1]) if found else query.where(column.is_not(None))
        value = connection.execute(following).scalar()
        if value is None:
            return found
        found.append(value)


def located(database: Database) -> sa.URL:
    """Return the URL of a database."""
    if isinstance(database, sa.Engine):
        return database.url
    if isinstance(database, HasDatabase):
        return database_url(database.database_url)
    if not isinstance(database, str | PathLike | sa.URL):
        raise QueryError(
            f"db is {database!r}; expected the path of an SQLite file, a URL, an engine of SQLAlchemy or a "
            "running ingestor (a reader opens a connection of its own, which cannot write)"
        )
    return database_url(database if isinstance(database, sa.URL) else fspath(database))


def _engine(database: Database) -> tuple[sa.Engine, bool]:
    url = located(database)
    if isinstance(database, sa.Engine) and url.get_backend_name() != "sqlite":
        return database, False
    # A caller's engine of an SQLite file may be set up to write; ours takes no locks.
    return open_for_reading(url), True


def folder_of(database: Database) -> Path | None:
    """Return the folder of an SQLite file; None for a server."""
    path = sqlite_path(located(database))
    return None if path is None else path.parent


def _check_tables(connection: sa.Connection, wanted: Iterable[sa.Table]) -> None:
    where = shown(connection.engine.url)
    try:
        missing = {table.name for table in wanted} - set(sa.inspect(connection).get_table_names())
    except sa.exc.DBAPIError as error:
        raise QueryError(f"{where} cannot be read as a database: {error.orig}") from None
    if missing:
        raise QueryError(
            f"{where} has no table {', '.join(sorted(missing))}; expected a database that the collector "
            "wrote (is another table name configured? see --table)"
        )
