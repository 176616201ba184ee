"""Write batches to an SQL database: SQLite by default, PostgreSQL where a server is given."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event

from collector.database import (
    DEFAULT_TABLE_NAME,
    break_off,
    make_engine,
    sink_error,
    sqlite_path,
    sqlite_version,
)
from collector.errors import UserError
from collector.events import StreamKey
from collector.ids import SegmentIds
from collector.loggers import get_logger
from collector.sinks.contract import Capabilities, Receipt, Rows, SessionState, WriteSet
from collector.sinks.sql import multi_row
from collector.sinks.sql.crashed_sessions import CRASH
from collector.sinks.sql.identity import knows_any
from collector.sinks.sql.insert import write_rows
from collector.sinks.sql.open_database import OpenDatabase
from collector.sinks.sql.state_rows import ledger_row
from collector.sinks.sql.states import keep_session, write_states
from collector.sinks.sql.stream_progress import StreamProgress, settle, take_up

log = get_logger(__name__)


class SqlSink:
    """A store that commits each batch exactly once: its id commits with its rows. Used by one thread."""

    def __init__(
        self,
        url: str | sa.URL,
        table_name: str = DEFAULT_TABLE_NAME,
        *,
        synchronous: str = "FULL",
        auto_migrate: bool = False,
        busy_timeout_s: float = 5.0,
        call_timeout_s: float = 30.0,
    ) -> None:

        def make(url: sa.URL) -> sa.Engine:
            engine = make_engine(
                url, synchronous=synchronous, busy_timeout_s=busy_timeout_s, call_timeout_s=call_timeout_s
            )
            # Before all else that is done with a new connection: that may hang as well.
            event.listen(engine, "connect", self._use, insert=True)
            return engine

        self._database = OpenDatabase(url, table_name, make, SegmentIds().next, auto_migrate=auto_migrate)
        self._tables = self._database.tables
        self._synchronous = synchronous
        self._driver: object | None = None  # the driver's connection that was used last
        self._is_calling = False
        self._told: SessionState | None = None  # stored last over that connection
        self._merged: dict[str, Counter[StreamKey]] = {}  # of the last batches, should its answer get lost

    def open(self) -> None:
        """Lock the database, migrate it, and close what a crash left open. Idempotent."""
        if self._database.is_open:
            return
        with self._breakable():
            self._database.open()
        is_file = self.file is not None
        log.info(
            "database.opened",
            database=self._database.name,
            sqlite=sqlite_version() if is_file else None,
            synchronous=self._synchronous if is_file else None,
        )

    def reserve(self) -> None:
        """Keep other collectors from an SQLite file that cannot be opened yet, until `close`."""
        self._database.reserve()

    @property
    def name(self) -> str:
        """Return the path of the file, or the URL without its password."""
        return self._database.name

    @property
    def url(self) -> sa.URL:
        """Return the complete URL, with its password."""
        return self._database.url

    @property
    def table_name(self) -> str:
        """Return the table that books go to."""
        return str(self._tables.hot.name)

    @property
    def file(self) -> Path | None:
        """Return the SQLite file; None for a server."""
        return sqlite_path(self._database.url)

    @property
    def identity(self) -> str:
        """Return the identity of the database; empty until it was open once."""
        return self._database.identity

    def knows(self, sessions: Collection[str]) -> bool:
        """Return whether one of these sessions has written here."""
        return self.maintain(lambda connection: knows_any(connection, self._tables, sessions)) > 0

    @property
    def incidents(self) -> tuple[str, ...]:
        """Return what happened to the database that a person has to know of."""
        return tuple(self._database.incidents)

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do: an SQLite file is one collector's alone, a server's database is shared."""
        return Capabilities(transactions=True, idempotent=True, shared=self.file is None)

    def gets_on(self, within_s: float) -> bool:
        """Return whether it is being opened, which is many calls, and had an answer within this time.

        To change its tables takes as long as it takes. For any thread.
        """
        return self._database.gets_on(within_s)

    def claim(self, session: SessionState, streams: Iterable[StreamKey], origin: str = "") -> int:
        """Record the session and reserve these streams; raise DatabaseInUse naming who holds one of them.

        With REST as their `origin` it is their past that is reserved.
        """
        wanted = tuple(streams)

        def claim(connection: sa.Connection) -> int:
            self._database.claim(connection, session, wanted, origin)
            return len(wanted)

        return self.maintain(claim)

    def write(self, write_set: WriteSet) -> Receipt:
        """Commit the write set in one transaction, unless its batch id is stored already."""
        return self.write_all([write_set])[0]

    def write_all(
        self, write_sets: Sequence[WriteSet], progress: StreamProgress | None = None
    ) -> list[Receipt]:
        """Commit in one transaction what is not stored yet, and how far its stream is read."""
        merged: dict[str, Counter[StreamKey]] = {}
        try:
            with self._connected() as connection, connection.begin():
                if progress is not None:
                    for session_id in take_up(connection, self._tables, progress):
                        log.warning("session.heard_again", session=session_id)
                receipts = [self._write_one(connection, one, merged) for one in write_sets]
                if progress is not None:
                    settle(connection, self._tables, progress)
                self._merged = merged or self._merged
        except UserError:
            raise
        except Exception as error:
            raise sink_error(error, self._database.name) from error
        for write_set in write_sets:
            if write_set.batch_id in merged:
                self._database.stored(write_set)
                self._told = write_set.session
        return receipts

    def _write_one(
        self, connection: sa.Connection, write_set: WriteSet, merged: dict[str, Counter[StreamKey]]
    ) -> Receipt:
        batch_id = write_set.batch_id
        if not self._claim(connection, write_set):
            writer = self._writer_of(connection, write_set)
            return Receipt(True, writer, {**self._merged, **merged}.get(batch_id, {}))
        fitted = self._database.fitted(connection, write_set)
        there = self._write_rows(connection, fitted)
        merged[batch_id] = Counter()
        for rows, count in there:
            if rows.stream is not None:
                merged[batch_id][rows.stream] += count
        taken = [(set(rows.columns.get("segment_id", ())), count) for rows, count in there]
        write_states(connection, self._tables, fitted, merged[batch_id], taken)
        if write_set.session != self._told:
            keep_session(connection, self._tables, write_set.session)
        return Receipt(merged=merged[batch_id])

    def maintain(self, task: Callable[[sa.Connection], int]) -> int:
        """Run the task on a connection; commit the transaction that it leaves open."""
        try:
            with self._connected() as connection:
                done = task(connection)
                connection.commit()
                return done
        except UserError:
            raise
        except Exception as error:
            raise sink_error(error, self._database.name) from error

    def refuses(self, rows: Rows) -> str | None:
        """Try the rows in a transaction that is rolled back; return why they cannot be stored, or None."""
        try:
            with self._connected() as connection, connection.begin() as trial:
                write_rows(connection, self._tables, rows)
                trial.rollback()
        except Exception as error:
            refusal = sink_error(error, self._database.name)
            if refusal.transient:
                raise refusal from error
            return str(refusal)
        return None

    def abort(self) -> None:
        """Interrupt the call in progress in another thread: it raises SinkError there."""
        driver = self._driver
        if self._is_calling and driver is not None:
            break_off(driver)

    def close(self) -> None:
        """Release everything. Idempotent."""
        self._database.close()

    def close_crashed_sessions(self, cause: str = CRASH) -> int:
        """End what sessions that died left open; return how many there were."""
        return self._database.close_crashed_sessions(cause)

    def _claim(self, connection: sa.Connection, write_set: WriteSet) -> bool:
        ledger = ledger_row(write_set, time.time_ns())
        return multi_row.upsert(connection, self._tables.batches, [ledger], if_there="skip") == 1

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        """Yield a connection. Whatever is done with it can be broken off: from BEGIN to COMMIT, and after."""
        with self._breakable(), self._database.engine.connect() as connection:
            self._use(connection.connection.driver_connection)
            yield connection

    @contextmanager
    def _breakable(self) -> Iterator[None]:
        self._is_calling = True
        try:
            yield
        finally:
            self._is_calling = False

    def _use(self, driver: object, _record: object = None) -> None:
        if driver is not self._driver:
            self._driver, self._told = driver, None

    def _write_rows(self, connection: sa.Connection, write_set: WriteSet) -> list[tuple[Rows, int]]:
        """Write all rows; return how many of which gave none of their own."""
        written = [(rows, write_rows(connection, self._tables, rows).merged) for rows in write_set.rows]
        return [(rows, merged) for rows, merged in written if merged and rows.stream is not None]

    def _writer_of(self, connection: sa.Connection, write_set: WriteSet) -> str:
        ledger = self._tables.batches.c
        question = sa.select(ledger.session_id).where(ledger.batch_id == write_set.batch_id)
        return str(connection.execute(question).scalar_one())
