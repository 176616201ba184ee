"""Write batches to an SQL database: SQLite by default, PostgreSQL where a server is given."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from structlog import get_logger

from collector.errors import CollectorError, SinkError, UserError
from collector.events.batch import StreamKey
from collector.sinks import multi_row
from collector.sinks.break_off import break_off
from collector.sinks.contract import AccountingState, Receipt, Rows, SegmentState, WriteSet
from collector.sinks.database_url import database_url, shown, sqlite_path
from collector.sinks.engine import make_engine
from collector.sinks.faults import sink_error
from collector.sinks.lock import WriterLock
from collector.sinks.migrate import bring_to_head
from collector.sinks.routes import write_rows
from collector.sinks.schema import DEFAULT_TABLE_NAME, tables
from collector.sinks.sessions import close_crashed
from collector.sinks.sqlite_file import SqliteFile
from collector.sinks.sqlite_library import sqlite_version
from collector.sinks.state_rows import (
    ACCOUNTING_RULES,
    REASONS_RULES,
    SEGMENT_RULES,
    SESSION_RULES,
    accounting_row,
    ledger_row,
    less_merged,
    moved_to_merged,
    segment_row,
    session_row,
    with_reasons_so_far,
)

log = get_logger()


class SqlSink:
    """Commit each batch exactly once: its id commits with its rows. Used by one thread."""

    def __init__(
        self,
        url: str | sa.URL,
        table_name: str = DEFAULT_TABLE_NAME,
        *,
        synchronous: str = "FULL",
        auto_migrate: bool = False,
        busy_timeout_s: float = 5.0,
    ) -> None:
        self._url = database_url(url)
        self._table_name = table_name
        self._tables = tables(table_name)
        self._synchronous = synchronous
        self._auto_migrate = auto_migrate
        self._busy_timeout_s = busy_timeout_s
        path = sqlite_path(self._url)
        self._lock = WriterLock(path) if path else None
        self._file = SqliteFile(path) if path else None
        self._engine: sa.Engine | None = None
        self._in_use: object | None = None  # the driver's connection, while a call is under way

    def open(self) -> None:
        """Take the database: lock it, migrate it, close what a crash left open. Idempotent."""
        if self._engine is not None:
            return
        if self._lock is not None:
            self._lock.acquire()
        try:
            self._connect()
        except CollectorError:
            self.close()
            raise
        except (SQLAlchemyError, OSError) as error:
            self.close()
            reason = getattr(error, "orig", None) or error
            raise UserError(f"the database {shown(self._url)} cannot be opened: {reason}") from error
        log.info(
            "database.opened",
            database=shown(self._url),
            sqlite=sqlite_version() if self._file else None,
            synchronous=self._synchronous if self._file else None,
        )

    def write(self, batch: WriteSet) -> Receipt:
        """Commit the batch in one transaction, unless a batch of its id is in already."""
        engine = self._engine_of_the_right_file()
        try:
            with engine.begin() as connection, self._breakable(connection):
                if not self._claim(connection, batch):
                    return Receipt(repeated=True)
                merged = self._write_rows(connection, batch)
                self._write_states(connection, batch, merged)
        except Exception as error:
            raise sink_error(error, shown(self._url)) from error
        if self._file is not None:
            self._file.remember_log()
        return Receipt(merged=merged)

    def refuses(self, rows: Rows) -> str | None:
        """Try the rows in a transaction that is rolled back; say why they cannot be stored, or None."""
        engine = self._engine_of_the_right_file()
        try:
            with engine.connect() as connection, connection.begin() as trial, self._breakable(connection):
                write_rows(connection, self._tables, rows)
                trial.rollback()
        except Exception as error:
            refusal = sink_error(error, shown(self._url))
            if refusal.transient:
                raise refusal from error
            return str(refusal)
        return None

    def abort(self) -> None:
        """Break off the call that is under way in another thread; it raises SinkError there."""
        in_use = self._in_use
        if in_use is not None:
            break_off(in_use)

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        if self._lock is not None:
            self._lock.release()

    def close_crashed_sessions(self, cause: str = "crash") -> int:
        """End what sessions that never said goodbye left open; return how many there were.

        Only for one who holds the lock: another session without an end would be one that still runs.
        """
        if self._engine is None:
            raise RuntimeError("open() comes first")
        with self._engine.begin() as connection:
            return close_crashed(connection, self._tables, cause)

    def _connect(self) -> None:
        self._engine = make_engine(
            self._url, synchronous=self._synchronous, busy_timeout_s=self._busy_timeout_s
        )
        bring_to_head(self._engine, self._table_name, allow=self._auto_migrate)
        if self._file is not None:
            crashed = self.close_crashed_sessions()
            if crashed:
                log.warning("sessions.closed_after_crash", database=shown(self._url), sessions=crashed)
            self._file.remember()

    def _engine_of_the_right_file(self) -> sa.Engine:
        """Return the engine, unless its file was deleted or replaced: SQLite would go on without a word."""
        if self._engine is None:
            raise RuntimeError("open() comes first")
        if self._file is None or self._file.is_the_same():
            return self._engine
        log.warning("database.file_changed", path=str(self._file.path))
        self._engine.dispose()
        try:
            self._file.set_stale_log_aside()
            self._connect()
        except Exception as error:
            raise sink_error(error, shown(self._url)) from error
        raise SinkError(
            f"{self._file.path}: the file was deleted or replaced, and is open again", transient=True
        )

    def _claim(self, connection: sa.Connection, batch: WriteSet) -> bool:
        ledger = ledger_row(batch, time.time_ns())
        return multi_row.upsert(connection, self._tables.batches, [ledger], if_there="skip") == 1

    @contextmanager
    def _breakable(self, connection: sa.Connection) -> Iterator[None]:
        self._in_use = connection.connection.driver_connection
        try:
            yield
        finally:
            self._in_use = None

    def _write_rows(self, connection: sa.Connection, batch: WriteSet) -> Counter[StreamKey]:
        """Insert all rows; count those that were there already, by stream."""
        merged: Counter[StreamKey] = Counter()
        for rows in batch.rows:
            there = len(rows) - write_rows(connection, self._tables, rows)
            if there and rows.stream is not None:
                merged[rows.stream] += there
        return merged

    def _write_states(
        self, connection: sa.Connection, batch: WriteSet, merged: Mapping[StreamKey, int]
    ) -> None:
        segments: Sequence[SegmentState] = batch.segments
        increments: Sequence[AccountingState] = batch.accounting
        if merged:
            segments, increments = less_merged(segments, merged), moved_to_merged(increments, merged)
        multi_row.upsert(connection, self._tables.coverage, map(segment_row, segments), rules=SEGMENT_RULES)
        self._add_to_accounting(connection, increments)
        multi_row.upsert(connection, self._tables.sessions, [session_row(batch.session)], rules=SESSION_RULES)

    def _add_to_accounting(self, connection: sa.Connection, increments: Sequence[AccountingState]) -> None:
        now_ns, table = time.time_ns(), self._tables.accounting
        plain = [accounting_row(one, now_ns) for one in increments if not one.rejected]
        multi_row.upsert(connection, table, plain, rules=ACCOUNTING_RULES)
        if len(plain) < len(increments):
            told = with_reasons_so_far(connection, table, [one for one in increments if one.rejected])
            rows = [accounting_row(one, now_ns, reasons) for one, reasons in told]
            multi_row.upsert(connection, table, rows, rules=REASONS_RULES)
