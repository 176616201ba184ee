"""Open databases the way a collector of data that matters needs them.

SQLite runs in WAL mode with `synchronous=FULL` (a committed batch survives a power cut) and every
transaction of a writer begins with BEGIN IMMEDIATE: a deferred one that wants to write later is refused
at once with SQLITE_BUSY_SNAPSHOT, however long the busy timeout.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote, urlencode

import sqlalchemy as sa
from sqlalchemy import event

from collector.database.sqlite_file import sqlite_library
from collector.database.url import sqlite_path
from collector.errors import UserError
from collector.loggers import get_logger

if TYPE_CHECKING:
    import psycopg

Driver: TypeAlias = "psycopg.Connection[tuple[object, ...]]"
SYNCHRONOUS: Final = ("OFF", "NORMAL", "FULL", "EXTRA")

_CONNECT_TIMEOUT_S = 10  # at most; the driver takes 2 for anything less
_KEEPALIVE_S = {"keepalives_idle": 30, "keepalives_interval": 10}
_JOURNAL_SIZE_LIMIT = 64 * 1024 * 1024
# Pages of the log that make SQLite copy it into the file. Batches change the same pages again and again, the
# ends of the index, so that a longer log is copied for less; it takes 16 MB.
_COPIED_AFTER_PAGES = 4000
_CACHED_STATEMENTS = 48  # a prepared statement of 200 rows holds about 0.4 MB
_BUSY, _RETRY_S = 5, 0.02

log = get_logger(__name__)


def make_engine(
    url: sa.URL,
    *,
    synchronous: str = "FULL",
    busy_timeout_s: float = 5.0,
    read_only: bool = False,
    call_timeout_s: float | None = None,
) -> sa.Engine:
    """Return an engine for a URL that database_url() has checked; nothing is opened yet.

    With a `call_timeout_s` it is a writer's: on a server, one connection, and no call takes longer than that.
    """
    if synchronous not in SYNCHRONOUS:
        raise UserError(f"synchronous is {synchronous!r}; expected one of {', '.join(SYNCHRONOUS)}")
    path = sqlite_path(url)
    if path is None:
        return _server_engine(url, read_only=read_only, call_timeout_s=call_timeout_s)
    if read_only and not path.exists():
        raise UserError(f"the database {path} does not exist; check the path, or run the collector first")
    connect = _sqlite_connector(url, path, busy_timeout_s, read_only=read_only)
    engine = sa.create_engine(url.set(query={}), module=sqlite_library(), creator=connect)
    if read_only:
        event.listen(engine, "connect", _set_up_reader)
    else:
        event.listen(engine, "connect", _WriterSetUp(path, synchronous, busy_timeout_s))
    _begin_by(engine, "BEGIN" if read_only else "BEGIN IMMEDIATE")
    return engine


def _server_engine(url: sa.URL, *, read_only: bool, call_timeout_s: float | None) -> sa.Engine:
    patience_s = call_timeout_s or _KEEPALIVE_S["keepalives_idle"]
    connect_args = {
        "connect_timeout": min(_CONNECT_TIMEOUT_S, max(2, int(patience_s))),
        "keepalives": 1,
        **_KEEPALIVE_S,
        "keepalives_count": 3,
        "tcp_user_timeout": int(patience_s * 1000),
    }
    # All questions of a reading transaction are to see the same moment, as in SQLite.
    options = {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"} if read_only else {}
    if call_timeout_s is None:
        return sa.create_engine(url, execution_options=options, connect_args=connect_args)
    engine = sa.create_engine(
        url, execution_options=options, connect_args=connect_args, pool_size=1, max_overflow=0
    )
    event.listen(engine, "connect", _TimeLimits(call_timeout_s))
    return engine


class _TimeLimits:
    """Set the server's own time limit for statements on each new connection."""

    def __init__(self, call_timeout_s: float) -> None:
        self._milliseconds = str(int(call_timeout_s * 1000))

    def __call__(self, connection: "Driver", _record: object) -> None:
        """Set the limits."""
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            connection.execute("SELECT set_config(%s, %s, false)", (name, self._milliseconds))
        # A call that we broke off must not go on there, holding its locks. Servers older than 14 lack it.
        connection.execute(
            "SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = %s",
            ("client_connection_check_interval",),
        )
        connection.commit()


def _sqlite_connector(
    url: sa.URL, path: Path, busy_timeout_s: float, *, read_only: bool
) -> Callable[[], sqlite3.Connection]:
    uri = _sqlite_uri(url, path, read_only=read_only)

    def connect() -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite_library().connect(
            uri,
            uri=True,
            timeout=busy_timeout_s,
            isolation_level=None,  # transactions begin where SQLAlchemy says, not where sqlite3 guesses
            check_same_thread=False,  # a watchdog may close a connection that hangs
            cached_statements=_CACHED_STATEMENTS,
        )
        return connection

    return connect


def reading_uri(url: sa.URL) -> str:
    """Return by what name SQLite opens a file to read it."""
    path = sqlite_path(url)
    assert path is not None  # noqa: S101  (asked of files only)
    return _sqlite_uri(url, path, read_only=True)


def _sqlite_uri(url: sa.URL, path: Path, *, read_only: bool) -> str:
    query = {name: str(value) for name, value in url.query.items()}
    query["mode"] = "ro" if read_only else "rwc"
    if read_only and _is_on_a_read_only_disk(path):
        query["immutable"] = "1"  # a WAL database wants to make its shared memory there, and cannot
    return f"file:{quote(str(path))}?{urlencode(query)}"


def _is_on_a_read_only_disk(path: Path) -> bool:
    return not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()


def _begin_by(engine: sa.Engine, statement: str) -> None:
    """Say how transactions begin where SQLAlchemy asks its driver for one, which costs less than an event."""

    def do_begin(connection: sa.PoolProxiedConnection) -> None:
        connection.cursor().execute(statement)

    engine.dialect.do_begin = do_begin  # type: ignore[assignment,method-assign]


def _set_up_reader(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")


class _WriterSetUp:
    """Set the journal and durability of each new connection; say once when WAL cannot be had."""

    def __init__(self, path: Path, synchronous: str, busy_timeout_s: float) -> None:
        self._path = path
        self._synchronous = synchronous
        self._busy_timeout_s = busy_timeout_s
        self._has_told = False

    def __call__(self, connection: sqlite3.Connection, _record: object) -> None:
        """Prepare one connection."""
        if not self._path.stat().st_size:  # a file that we make: before its first table, or never
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode, reason = self._ask_for_wal(connection)
        if mode != "wal" and not self._has_told:
            self._has_told = True
            log.warning("database.wal_unavailable", path=str(self._path), journal_mode=mode, reason=reason)
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_SIZE_LIMIT}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_COPIED_AFTER_PAGES}")

    def _ask_for_wal(self, connection: sqlite3.Connection) -> tuple[str, str]:
        # Changing the mode needs the file alone, and SQLite does not always wait for that by itself.
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                return _journal_mode(connection, "WAL"), "the file system has no shared memory"
            except sqlite_library().OperationalError as error:
                if _code(error) != _BUSY:
                    return _leave_wal(connection), str(error)
                if time.monotonic() >= deadline:
                    _refuse_if_locked(connection, self._busy_timeout_s)
                    return _journal_mode(connection), "another program is using the file"
            time.sleep(_RETRY_S)


def _refuse_if_locked(connection: sqlite3.Connection, busy_timeout_s: float) -> None:
    """Raise if another program keeps writers away: it was waited for long enough, and is not once more."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    finally:
        connection.execute(f"PRAGMA busy_timeout = {round(busy_timeout_s * 1000)}")


def _leave_wal(connection: sqlite3.Connection) -> str:
    # A file that is in WAL mode already can still be read here, alone: an exclusive connection keeps the
    # index of the log in its own memory.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    mode = _journal_mode(connection, "DELETE")
    connection.execute("PRAGMA locking_mode = NORMAL")
    return mode


def _journal_mode(connection: sqlite3.Connection, wanted: str | None = None) -> str:
    statement = f"PRAGMA journal_mode = {wanted}" if wanted else "PRAGMA journal_mode"
    return str(connection.execute(statement).fetchone()[0])


def _code(error: Exception) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
