"""Bring a database to the schema that this version of the program writes.

All steps of one call, the look before them and the record of them are one transaction under one lock
(BEGIN IMMEDIATE on SQLite, an advisory lock on PostgreSQL): two programs that start at once migrate once,
and one that dies half-way leaves nothing behind.
"""

import functools
import io
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError
from structlog import get_logger

from collector.database.big_indexes import build_big_indexes
from collector.database.faults import opening_error
from collector.database.file_lock import WriterLock
from collector.database.migration_steps import VERSION_TABLE, create_or_complete, serves
from collector.database.table_check import check_table
from collector.database.tables import Tables, make_tables
from collector.database.url import shown, sqlite_path
from collector.errors import SchemaError, UserError
from collector.resources import migrations_path

_ADVISORY_LOCK = 0x636F6C6C  # "coll"; the scope of an advisory lock is one database
_LOCK_TIMEOUT_S = 60
# Alembic keeps the migration under way in its modules: one at a time in a process, whatever the database.
_one_migration = threading.Lock()

log = get_logger()


class MigrationStatus(NamedTuple):
    """The revision of a database; `current` is None before the first migration."""

    current: str | None
    head: str


def status(engine: sa.Engine) -> MigrationStatus:
    """Return the revision of the database and the newest one known."""
    with engine.connect() as connection:
        return MigrationStatus(_current(connection), _head(_scripts()))


def bring_to_head(engine: sa.Engine, table_name: str, *, allow: bool) -> bool:
    """Make the database fit to be written; return whether anything had to be changed.

    An SQLite file is migrated without asking. A server is shared: it is refused, with the command that
    does it, unless `allow`.
    """
    wanted = make_tables(table_name)
    if allow or engine.dialect.name == "sqlite":
        _prepare_big_table(engine, wanted)
    with _exclusively(engine) as connection:
        before = _known_position(connection)
        _check_all(connection, wanted)
        if before.current == before.head and _is_complete(connection, wanted.hot):
            _check_all(connection, wanted, is_complete=True)
            return False
        if not allow and engine.dialect.name != "sqlite":
            raise SchemaError(_refusal(engine, before))
        _change(connection, table_name)
        with Operations.context(MigrationContext.configure(connection)):
            create_or_complete(connection, wanted.hot)
        _check_all(connection, wanted, is_complete=True)
    log.info("database.migrated", database=shown(engine.url), before=before.current, after=before.head)
    return True


def upgrade(engine: sa.Engine, table_name: str, revision: str = "head") -> None:
    """Run the migrations up to the revision. No collector may be writing an SQLite file meanwhile."""
    with _no_writer(engine):
        _prepare_big_table(engine, make_tables(table_name))
    with _no_writer(engine), _exclusively(engine) as connection:
        _known_position(connection)
        _check_all(connection, make_tables(table_name))
        _change(connection, table_name, revision)


def _prepare_big_table(engine: sa.Engine, wanted: Tables) -> None:
    """Build the missing indexes of a big table outside the one transaction, once it is known to fit."""
    try:
        with _one_migration, engine.connect() as connection:
            _known_position(connection)
            _check_all(connection, wanted)
        build_big_indexes(engine, wanted.hot)
    except DBAPIError as error:
        text = f"the database {shown(engine.url)} cannot be migrated: {error.orig}; nothing was changed"
        raise opening_error(error, text) from error


def downgrade(engine: sa.Engine, table_name: str, revision: str) -> None:
    """Undo the migrations down to the revision (`base` for all); what holds data stays."""
    with _no_writer(engine), _exclusively(engine) as connection:
        _known_position(connection)
        command.downgrade(_config(connection, make_tables(table_name).hot.name), revision)


def sql_preview(engine: sa.Engine, table_name: str, revision: str = "head") -> str:
    """Return the SQL that upgrade() would run on this database now."""
    with _one_migration, engine.connect() as connection:
        position = _known_position(connection)
        config = _config(connection, make_tables(table_name).hot.name)
        config.output_buffer = buffer = io.StringIO()
        command.upgrade(config, f"{position.current or 'base'}:{revision}", sql=True)
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
        text = f"the database {shown(engine.url)} cannot be migrated: {error.orig}; nothing was changed"
        raise opening_error(error, text) from error
    except CommandError as error:
        raise UserError(f"{error}; nothing was changed") from error


def _no_writer(engine: sa.Engine) -> AbstractContextManager[object]:
    path = sqlite_path(engine.url)
    return WriterLock(path) if path else nullcontext()


def _change(connection: sa.Connection, table_name: str, revision: str = "head") -> None:
    command.upgrade(_config(connection, table_name), revision)


def _known_position(connection: sa.Connection) -> MigrationStatus:
    scripts = _scripts()
    position = MigrationStatus(_current(connection), _head(scripts))
    known = {script.revision for script in scripts.walk_revisions()}
    if position.current is not None and position.current not in known:
        raise SchemaError(
            f"the database {shown(connection.engine.url)} is at schema revision {position.current}, which "
            f"this version does not know (its newest is {position.head}): a newer collector has written "
            f"it; upgrade the collector, or use another database"
        )
    return position


def _current(connection: sa.Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    heads = context.get_current_heads()
    if len(heads) > 1:
        raise SchemaError(f"{VERSION_TABLE} holds {len(heads)} revisions ({', '.join(heads)}); expected one")
    return heads[0] if heads else None


@functools.cache
def _scripts_in(folder: str) -> ScriptDirectory:
    """Read the migrations, once: loading them takes half the time of a look at a database."""
    return ScriptDirectory(folder)


def _scripts() -> ScriptDirectory:
    return _scripts_in(str(migrations_path()))


def _head(scripts: ScriptDirectory) -> str:
    head = scripts.get_current_head()
    if head is None:
        raise UserError(f"no migrations in {migrations_path()}; the installation is incomplete")
    return head


def _config(connection: sa.Connection | None = None, table_name: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, table_name=table_name)
    return config


def _check_all(connection: sa.Connection, wanted: Tables, *, is_complete: bool = False) -> None:
    for table in wanted.hot.metadata.sorted_tables:
        check_table(connection, table, is_complete=is_complete)


def _is_complete(connection: sa.Connection, hot: sa.Table) -> bool:
    inspector = sa.inspect(connection)
    if not inspector.has_table(hot.name):
        return False
    present = {column["name"] for column in inspector.get_columns(hot.name)}
    indexes = inspector.get_indexes(hot.name)
    has_indexes = all(any(serves(there, wanted) for there in indexes) for wanted in hot.indexes)
    return has_indexes and present.issuperset(column.name for column in hot.columns)


def _refusal(engine: sa.Engine, position: MigrationStatus) -> str:
    return (
        f"the database {shown(engine.url)} is at schema revision {position.current or 'none'}, the "
        f"collector needs {position.head}; a server is not changed unasked: run\n"
        f"  python run.py migrate up --db '{shown(engine.url)}'\n"
        f"or set database.auto_migrate: true"
    )
