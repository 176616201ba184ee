"""Hold a database open: lock the SQLite file, or our streams in PostgreSQL; detect its replacement."""

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from collector.database import (
    MovedFile,
    SqliteFile,
    Tables,
    WriterLock,
    bring_to_head,
    complete_moved_file,
    database_url,
    is_from_a_database,
    make_tables,
    opening_error,
    shown,
    sink_error,
    sqlite_library,
    sqlite_path,
)
from collector.errors import SinkError
from collector.events import StreamKey
from collector.ids import new_id
from collector.loggers import get_logger
from collector.sinks.contract import SessionState, WriteSet
from collector.sinks.sql.crashed_sessions import CRASH, close_crashed, open_sessions, reopen
from collector.sinks.sql.identity import identity_of
from collector.sinks.sql.renumbering import Renumbering
from collector.sinks.sql.states import keep_session
from collector.sinks.sql.stream_locks import StreamLocks, introduce, ownerless

if TYPE_CHECKING:
    from collector.database import Driver

_CACHE_KIB = 2000  # SQLite's own default
_CACHE_KIB_A_STREAM = 12  # three pages: the ends of its indexes, and what a split of these touches

log = get_logger(__name__)


class OpenDatabase:
    """A database that is open for writing. Used by one thread."""

    def __init__(
        self,
        url: str | sa.URL,
        table_name: str,
        make_engine: Callable[[sa.URL], sa.Engine],
        new_segment_id: Callable[[], int],
        *,
        auto_migrate: bool = False,
    ) -> None:
        self.url = database_url(url)
        self.name = shown(self.url)
        self.tables: Tables = make_tables(table_name)
        self._make_engine = make_engine
        self._auto_migrate = auto_migrate
        path = sqlite_path(self.url)
        self._lock = WriterLock(path) if path else None
        self._file = SqliteFile(path) if path else None
        self._streams = None if path else StreamLocks()
        self._renumbering = Renumbering(new_segment_id)
        self._engine: sa.Engine | None = None
        self.identity = ""  # once it was open; one that replaces it has another, or takes this one
        self._origin = ""
        self._claimed: set[StreamKey] = set()
        self._session_id: str | None = None
        self._last_batch_id: str | None = None
        self._was_reopened = False
        self._heard_s = -math.inf  # while it is opened: the last answer; inf while tables are changed
        self.incidents: list[str] = []  # what a person has to know of, in the end too

    @property
    def is_open(self) -> bool:
        """Return whether it is open."""
        return self._engine is not None

    def gets_on(self, within_s: float) -> bool:
        """Return whether it is being opened and heard from within this time, or changes its tables."""
        return time.monotonic() < self._heard_s + within_s

    def open(self) -> None:
        """Lock the database, migrate it, and close what a crash left open.

        One that was reserved stays so when it cannot be opened.
        """
        was_reserved = self._lock is not None and self._lock.is_held
        let_go = self._disconnect if was_reserved else self.close
        self.reserve()
        try:
            self._connect()
        except Exception as error:
            let_go()
            if not is_from_a_database(error):
                raise
            reason = getattr(error, "orig", None) or error
            raise opening_error(error, f"the database {self.name} cannot be opened: {reason}") from error

    def reserve(self) -> None:
        """Keep others from a file that cannot be opened yet, until `close`, or raise DatabaseInUse."""
        if self._lock is not None:
            self._lock.acquire()

    def close(self) -> None:
        """Release everything. Idempotent."""
        self._disconnect()
        if self._lock is not None:
            self._lock.release()

    def _disconnect(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def claim(
        self,
        connection: sa.Connection,
        session: SessionState,
        streams: Collection[StreamKey],
        origin: str = "",
    ) -> None:
        """Record the session and lock these streams as well, or raise DatabaseInUse naming who holds one.

        Of another `origin` they are not those that come live: both are written at the same time.
        """
        self._origin = origin
        self._claimed |= set(streams)
        if self._streams is None:
            self._make_room(connection)
        else:
            introduce(_driver(connection), session)
            self._streams.claim(_driver(connection), session, map(self._locked, streams))
        keep_session(connection, self.tables, session)
        self._session_id = session.session_id

    def _make_room(self, connection: sa.Connection) -> None:
        """Let SQLite's cache hold what one batch changes, or it would write pages before their time."""
        room = max(_CACHE_KIB, _CACHE_KIB_A_STREAM * len(self._claimed))
        connection.exec_driver_sql(f"PRAGMA cache_size = -{room}")

    @property
    def engine(self) -> sa.Engine:
        """Return the engine; raise SinkError once when the file behind it was replaced.

        SQLite would silently continue to write into a file that has no name any more.
        """
        if self._engine is None:
            raise RuntimeError("open() comes first")
        if self._file is None or self._file.is_the_same():
            return self._engine
        moved = self._completed(self._engine, self._file)
        self._engine.dispose()
        try:
            told = moved.told(self._file.set_stale_log_aside())
            if told not in self.incidents:  # the same until it can be opened
                self.incidents.append(told)
                log.warning("database.file_changed", path=str(self._file.path), what=told)
            self._connect()
        except Exception as error:
            raise sink_error(error, self.name) from error
        self._was_reopened = True
        raise SinkError(
            f"{self._file.path}: the file was deleted or replaced, and is open again", transient=True
        )

    @staticmethod
    def _completed(engine: sa.Engine, file: SqliteFile) -> MovedFile:
        """Bring the log that stayed behind into the file that was moved away, over the open connection."""
        try:
            connection = engine.raw_connection()
        except (SQLAlchemyError, sqlite_library().Error):  # no connection is open any more
            return MovedFile(file.path, None, is_complete=False)
        try:
            return complete_moved_file(connection.driver_connection, file.path, file.identity)
        finally:
            connection.close()

    def fitted(self, connection: sa.Connection, write_set: WriteSet) -> WriteSet:
        """Return the write set in the form that fits this database: it may have been replaced."""
        own = write_set.session if write_set.session.session_id == self._session_id else None
        if self._streams is not None and own is not None:
            keys = (one.key for one in write_set.accounting)
            streams = map(self._locked, keys) if self._origin else keys
            self._streams.claim(_driver(connection), own, streams)
        if self._was_reopened or (self._streams is not None and self._streams.were_lost):
            self._look_again(connection)
        is_ours = self._session_id in {None, write_set.session.session_id}
        return self._renumbering.apply(connection, self.tables, write_set, is_ours=is_ours)

    def _locked(self, key: StreamKey) -> StreamKey:
        """Return what is locked for a stream."""
        return key._replace(channel=f"{key.channel} {self._origin}") if self._origin else key

    def stored(self, write_set: WriteSet) -> None:
        """Record that the write set is committed."""
        self._last_batch_id = write_set.batch_id
        self._was_reopened = False
        if self._streams is not None:
            self._streams.were_lost = False
        if self._file is not None:
            self._file.remember_log()

    def close_crashed_sessions(self, cause: str = CRASH) -> int:
        """End what sessions that died left open; return how many there were."""
        if self._engine is None:
            raise RuntimeError("open() comes first")
        with self._engine.begin() as connection:
            dead = [one for one in open_sessions(connection, self.tables) if one != self._session_id]
            if self._streams is not None:  # on a server, others may be alive
                dead = ownerless(_driver(connection), dead)
            return close_crashed(connection, self.tables, dead, cause)

    def _connect(self) -> None:
        self._engine = self._make_engine(self.url)
        if self._streams is not None:
            event.listen(self._engine, "connect", self._streams.take_again)
        with self._opening(self._engine):
            hot, allow = self.tables.hot.name, self._auto_migrate
            bring_to_head(self._engine, hot, allow=allow, changing=self._changing)
            crashed = self.close_crashed_sessions()
            if crashed:
                log.warning("sessions.closed_after_crash", database=self.name, sessions=crashed)
            with self._engine.begin() as connection:
                self.identity = identity_of(connection, self.tables, self.identity or new_id())
                if self._streams is None:
                    self._make_room(connection)
        if self._file is not None:
            self._file.remember()

    @contextmanager
    def _opening(self, engine: sa.Engine) -> Iterator[None]:
        event.listen(engine, "after_cursor_execute", self._heard)
        try:
            yield
        finally:
            event.remove(engine, "after_cursor_execute", self._heard)
            self._heard_s = -math.inf

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self._heard_s = math.inf
        try:
            yield
        finally:
            self._heard_s = time.monotonic()

    def _heard(self, *_: object) -> None:
        self._heard_s = max(self._heard_s, time.monotonic())

    def _look_again(self, connection: sa.Connection) -> None:
        """Check the state of our session in a database that others could change meanwhile."""
        if self._session_id is None or self._last_batch_id is None:
            return
        ledger = self.tables.batches
        known = sa.select(ledger.c.batch_id).where(ledger.c.batch_id == self._last_batch_id)
        if connection.execute(known).first() is None:
            segments = self._renumbering.begin(connection, self.tables, self._session_id)
            log.warning("database.older_state", database=self.name, segments=segments)
        if reopen(connection, self.tables, self._session_id):
            log.warning("session.taken_for_dead", database=self.name)


def _driver(connection: sa.Connection) -> "Driver":
    return cast("Driver", connection.connection.driver_connection)
