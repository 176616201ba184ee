"""Bring a database to the schema that this version of the program writes.

All steps of one call, the look before them and the record of them are one transaction under one lock
(BEGIN IMMEDIATE on SQLite, an advisory lock on PostgreSQL): two programs that start at once migrate once,
and one that dies half-way leaves nothing behind.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from collector.database.big_indexes import broken_off, build_big_indexes
from collector.database.faults import opening_error
from collector.database.file_lock import WriterLock
from collector.database.made_at_once import make_at_once
from collector.database.revisions import current, revisions, serves
from collector.database.table_check import FoundTables, check_table, find_tables
from collector.database.tables import Tables, make_tables
from collector.database.url import shown, sqlite_path
from collector.errors import SchemaError, UserError
from collector.lean import importing_without
from collector.loggers import get_logger
from collector.resources import migrations_path

if TYPE_CHECKING:
    from alembic.config import Config

_ADVISORY_LOCK = 0x636F6C6C  # "coll"; the scope of an advisory lock is one database
_LOCK_TIMEOUT_S = 60
# Alembic keeps the migration under way in its modules: one at a time in a process, whatever the database.
_one_migration = threading.Lock()

log = get_logger(__name__)


class MigrationStatus(NamedTuple):
    """The revision of a database; `current` is None before the first migration."""

    current: str | None
    head: str


def status(engine: sa.Engine) -> MigrationStatus:
    """Return the revision of the database and the newest one known."""
    with engine.connect() as connection:
        return MigrationStatus(current(connection), newest_revision())


def newest_revision() -> str:
    """Return the revision of the tables that this version of the program writes."""
    return revisions().head


def bring_to_head(
    engine: sa.Engine,
    table_name: str,
    *,
    allow: bool,
    changing: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> bool:
    """Make the database fit to be written; return whether anything had to be changed.

    An SQLite file is migrated without asking. A server is shared: it is refused, with the command that
    does it, unless `allow`. What is done in `changing` takes as long as it takes; a look does not.
    """
    wanted = make_tables(table_name)
    if _is_ready(engine, wanted):
        return False
    if allow or engine.dialect.name == "sqlite":
        _build_big_indexes(engine, wanted, changing)
    with ExitStack() as until_it_is_committed, _exclusively(engine) as connection:
        before = _known_position(connection)
        if _needs_nothing(connection, wanted, before):
            return False
        if not allow and engine.dialect.name != "sqlite":
            raise SchemaError(_refusal(engine, before))
        until_it_is_committed.enter_context(changing())
        if not make_at_once(connection, wanted, before.head):
            _change(connection, table_name)
            _complete(connection, wanted.hot)
        _find_and_check(connection, wanted, is_complete=True)
    log.info("database.migrated", database=shown(engine.url), before=before.current, after=before.head)
    return True


def upgrade(engine: sa.Engine, table_name: str, revision: str = "head") -> None:
    """Run the migrations up to the revision. No collector may be writing an SQLite file meanwhile."""
    wanted = make_tables(table_name)
    with _no_writer(engine):
        _is_ready(engine, wanted)  # refuses what does not fit
        _build_big_indexes(engine, wanted)
    with _no_writer(engine), _exclusively(engine) as connection:
        _known_position(connection)
        _find_and_check(connection, wanted)
        _change(connection, table_name, revision)


def _is_ready(engine: sa.Engine, wanted: Tables) -> bool:
    """Look, without keeping others away, whether all is there; raise SchemaError for what does not fit.

    So ends the usual start. If not, it is looked again under the lock.
    """
    try:
        with _one_migration, engine.connect() as connection:
            position = _known_position(connection)
            return _needs_nothing(connection, wanted, position) and not broken_off(connection, wanted.hot)
    except DBAPIError as error:
        raise _failed(engine, error) from error


def _build_big_indexes(
    engine: sa.Engine,
    wanted: Tables,
    changing: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> None:
    """Build the missing indexes of a big table, which is known to fit, outside the one transaction."""
    try:
        build_big_indexes(engine, wanted.hot, changing=changing)
    except DBAPIError as error:
        raise _failed(engine, error) from error


def _failed(engine: sa.Engine, error: DBAPIError) -> UserError:
    text = f"the database {shown(engine.url)} cannot be migrated: {error.orig}; nothing was changed"
    return opening_error(error, text)


def downgrade(engine: sa.Engine, table_name: str, revision: str) -> None:
    """Undo the migrations down to the revision (`base` for all); what holds data stays."""
    with _no_writer(engine), _exclusively(engine) as connection:
        _known_position(connection)
        _alembic().downgrade(_config(connection, make_tables(table_name).hot.name), revision)


def sql_preview(engine: sa.Engine, table_name: str, revision: str = "head") -> str:
    """Return the SQL that upgrade() would run on this database now."""
    with _one_migration, engine.connect() as connection:
        position = _known_position(connection)
        config = _config(connection, make_tables(table_name).hot.name)
        config.output_buffer = buffer = io.StringIO()
        _alembic().upgrade(config, f"{position.current or 'base'}:{revision}", sql=True)
    return buffer.getvalue()


@contextmanager
def _exclusively(engine: sa.Engine) -> Iterator[sa.Connection]:
    try:
        with _one_migration, engine.begin() as connection:  # on SQLite this is BEGIN IMMEDIATE
            if engine.dialect.name == "postgresql":
                # An index over millions of rows takes longer than any batch may.
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_S}s'")
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            yield connection
    except DBAPIError as error:
        raise _failed(engine, error) from error
    except Exception as error:
        if not _is_of_alembic(error):
            raise
        raise UserError(f"{error}; nothing was changed") from error


def _no_writer(engine: sa.Engine) -> AbstractContextManager[object]:
    path = sqlite_path(engine.url)
    return WriterLock(path) if path else nullcontext()


def _alembic() -> ModuleType:
    """Import Alembic: most starts find a database as it should be, and do without it."""
    with importing_without("pygments"):
        from alembic import command  # noqa: PLC0415
    return command


def _is_of_alembic(error: Exception) -> bool:
    """Return whether an error is one in what Alembic was asked for; then it is imported already."""
    util = sys.modules.get("alembic.util")
    return util is not None and isinstance(error, util.CommandError)


def _change(connection: sa.Connection, table_name: str, revision: str = "head") -> None:
    _alembic().upgrade(_config(connection, table_name), revision)


def _complete(connection: sa.Connection, hot: sa.Table) -> None:
    """Add what the hot table lacks, in a database that is at head."""
    _alembic()
    from alembic.operations import Operations  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    from collector.database.migration_steps import create_or_complete  # noqa: PLC0415

    with Operations.context(MigrationContext.configure(connection)):
        create_or_complete(connection, hot)


def _known_position(connection: sa.Connection) -> MigrationStatus:
    head, known = revisions()
    position = MigrationStatus(current(connection), head)
    if position.current is not None and position.current not in known:
        raise SchemaError(
            f"the database {shown(connection.engine.url)} is at schema revision {position.current}, which "
            f"this version does not know (its newest is {position.head}): a newer collector has written "
            f"it; upgrade the collector, or use another database"
        )
    return position


def _config(connection: sa.Connection | None = None, table_name: str | None = None) -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, table_name=table_name)
    return config


def _needs_nothing(connection: sa.Connection, wanted: Tables, position: MigrationStatus) -> bool:
    found = find_tables(connection, wanted.hot.metadata.sorted_tables)
    is_complete = position.current == position.head and _is_complete(found, wanted.hot)
    _check_all(connection, wanted, found, is_complete=is_complete)
    return is_complete


def _find_and_check(connection: sa.Connection, wanted: Tables, *, is_complete: bool = False) -> None:
    found = find_tables(connection, wanted.hot.metadata.sorted_tables)
    _check_all(connection, wanted, found, is_complete=is_complete)


def _check_all(connection: sa.Connection, wanted: Tables, found: FoundTables, *, is_complete: bool) -> None:
    for table in wanted.hot.metadata.sorted_tables:
        check_table(connection, table, found, is_complete=is_complete)


def _is_complete(found: FoundTables, hot: sa.Table) -> bool:
    present = {column["name"] for column in found.columns.get(hot.name, ())}
    indexes = found.indexes.get(hot.name, ())
    has_indexes = all(any(serves(there, wanted) for there in indexes) for wanted in hot.indexes)
    return has_indexes and present.issuperset(column.name for column in hot.columns)


def _refusal(engine: sa.Engine, position: MigrationStatus) -> str:
    return (
        f"the database {shown(engine.url)} is at schema revision {position.current or 'none'}, the "
        f"collector needs {position.head}; a server is not changed unasked: run\n"
        f"  python run.py migrate up --db '{shown(engine.url)}'\n"
        f"or set database.auto_migrate: true"
    )
