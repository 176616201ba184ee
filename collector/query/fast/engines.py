"""Choose what reads the rows of a question: this process, or a child that hands over arrays."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Literal, TypeVar

import sqlalchemy as sa

from collector.database import Tables, reading_uri, sqlite_path
from collector.errors import MissingExtra, QueryError
from collector.loggers import get_logger
from collector.query.database import Database, located, reading
from collector.query.fast.reader import ChildFailed, Reader

Engine = Literal["auto", "python", "arrow"]
ENGINES = ("auto", "python", "arrow")
LONG_ROWS = 400_000  # from so many on a child saves more than its start costs
_LIBRARIES = {
    "pyarrow": "pyarrow",
    "adbc-driver-sqlite": "adbc_driver_sqlite",
}  # found, and not imported here
_KEY = "collector.reader"
_TRIES = 50
_INSTEAD = "rows are read in this process"

Result = TypeVar("Result")
AboutToRead = Callable[[sa.Connection, "sa.Select[tuple[object, ...]]"], None]
Work = Callable[[sa.Connection, Tables, AboutToRead], Result]

log = get_logger(__name__)


class _Long(Exception):  # noqa: N818  (no error: it ends a first look)
    """So many rows are to be read that a child pays."""


def checked_engine(engine: str) -> None:
    """Raise for an unknown engine, and for one whose library is missing, before anything is read."""
    if engine not in ENGINES:
        raise QueryError(f"engine is {engine!r}; expected {', '.join(ENGINES)}")
    if engine == "arrow" and (missing := _missing()) is not None:
        raise MissingExtra(missing, "fast")


def can_be_fast(database: Database, engine: Engine) -> bool:
    """Return whether a child may read this database."""
    if engine == "python" or sqlite_path(located(database)) is None:
        return False
    return _missing() is None


def is_long(connection: sa.Connection, query: "sa.Select[tuple[object, ...]]") -> bool:
    """Return whether a question finds many rows; it counts no further than it must."""
    rows = query.with_only_columns(sa.literal_column("1")).order_by(None).limit(LONG_ROWS).subquery()
    return bool(connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one() == LONG_ROWS)


def with_engine(database: Database, table_name: str, engine: Engine, work: Work[Result]) -> Result:
    """Do the work in one reading transaction, beside a child if it says that it is about to read much."""
    if not can_be_fast(database, engine):
        with reading(database, table_name) as (connection, tables):
            return work(connection, tables, _go_on)
    if engine == "auto":
        try:
            with reading(database, table_name) as (connection, tables):
                return work(connection, tables, _end_if_long)
        except _Long:
            pass
    with started(database) as reader, reading_beside(reader, database, table_name) as (connection, tables):
        return work(connection, tables, _go_on)


@contextmanager
def started(database: Database) -> Iterator[Reader | None]:
    """Yield a child that reads the database, which ends with the block; None where it cannot be started."""
    reader = _started(database)
    try:
        yield reader
    finally:
        if reader is not None:
            reader.close()


@contextmanager
def reading_beside(
    reader: Reader | None, database: Database, table_name: str
) -> Iterator[tuple[sa.Connection, Tables]]:
    """Yield one reading transaction, in which a child, if there is one, sees the same moment."""
    with ExitStack() as stack:
        for _ in range(_TRIES):
            if reader is None or not _has_looked(reader):
                break
            connection, tables = stack.enter_context(reading(database, table_name))
            if _has_begun(reader):
                connection.info[_KEY] = reader
                stack.callback(_end, reader)
                yield connection, tables
                return
            stack.close()
        else:
            log.info("read.no_quiet_moment", tries=_TRIES, instead=_INSTEAD)
        yield stack.enter_context(reading(database, table_name))


def reader_of(connection: sa.Connection) -> Reader | None:
    """Return the child that sees the same moment as this connection, if one does and is free."""
    reader: Reader | None = connection.info.get(_KEY)
    return reader if reader is not None and reader.is_free else None


def tell_of(error: Exception) -> None:
    """Log why rows are read in this process after all."""
    log.warning("read.child_failed", error=str(error), instead=_INSTEAD)


def _missing() -> str | None:
    """Return the first package that a child needs and that is not installed."""
    return next((package for package, module in _LIBRARIES.items() if find_spec(module) is None), None)


def _has_looked(reader: Reader) -> bool:
    try:
        if reader.is_free:
            reader.look()
    except ChildFailed as error:
        tell_of(error)
    return reader.is_free


def _has_begun(reader: Reader) -> bool:
    try:
        return reader.begin()
    except ChildFailed as error:
        tell_of(error)
        return False


def _end(reader: Reader) -> None:
    try:
        if reader.is_free:
            reader.end()
    except ChildFailed as error:
        tell_of(error)


def _started(database: Database) -> Reader | None:
    url = located(database)
    path = sqlite_path(url)
    if path is None:
        return None
    try:
        return Reader(reading_uri(url), path)
    except (OSError, ChildFailed) as error:
        tell_of(error)
        return None


def _go_on(_connection: sa.Connection, _query: "sa.Select[tuple[object, ...]]") -> None:
    """Read, however much it is."""


def _end_if_long(connection: sa.Connection, query: "sa.Select[tuple[object, ...]]") -> None:
    if is_long(connection, query):
        raise _Long
