"""Store batches in a second SQLite file while the database takes none: in order, durable, bounded.

A batch is one row: its head (session, segments, accounts) and its body (the rows), each compact and with a
checksum. Entries leave in the order of their numbers, not in the order in which they came: a batch that was
on its way to the database goes before those that were taken after it.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from collector.database import SqliteFile, sqlite_library
from collector.errors import SpoolError, UserError
from collector.sinks import Rows, WriteSet
from collector.writer.spool_codec import FORMAT, DamagedError, body_of, head_of, read_body, read_head

_APPLICATION_ID: Final = 0x436C5370  # "ClSp": told by `file`, and no other database is taken for a spool
_OVERHEAD_BYTES = 256  # of an entry, beside its bytes
_LOG_PAGES = 1000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spool (
  number INTEGER PRIMARY KEY, batch_id TEXT NOT NULL, session_id TEXT NOT NULL, rows INTEGER NOT NULL,
  head BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS aside (
  number INTEGER, batch_id TEXT, session_id TEXT, rows INTEGER,
  head BLOB, body BLOB, reason TEXT, at_ns INTEGER);
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch in the spool."""

    number: int
    batch_id: str
    session_id: str
    row_count: int
    head: WriteSet | None  # None: its bytes are damaged
    rows: tuple[Rows, ...] | None
    damage: str = ""


class SpoolFile:
    """A file that stays open from start to end, used by this process alone. For any thread, one at a time."""

    def __init__(self, *paths: Path, max_bytes: int, synchronous: str = "FULL") -> None:
        self._paths = paths  # the first that nobody else holds is taken
        self.path = paths[0]
        self._max_bytes = max_bytes
        self._synchronous = synchronous
        self._file = SqliteFile(self.path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None  # guarded by _lock, like all below
        self.entries = 0
        self.bytes = 0
        self.last_number = 0

    def open(self) -> None:
        """Open the file, making it if it is not there. Raises UserError when it cannot be had."""
        with self._lock:
            if self._connection is not None:
                return
            self._connection = self._open()
            self._measure(self._connection)

    def _open(self) -> sqlite3.Connection:
        for path in self._paths:
            self.path, self._file = path, SqliteFile(path)
            try:
                return self._connect()
            except sqlite_library().OperationalError as error:
                if path is self._paths[-1] or not _is_held(error):
                    raise UserError(self._why_not(error)) from error
            except sqlite_library().DatabaseError as error:
                return self._instead_of_a_damaged_one(error)
        raise AssertionError("a spool has a path")

    def _instead_of_a_damaged_one(self, error: Exception) -> sqlite3.Connection:
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        self.path.rename(aside)
        log.error("spool.damaged", path=str(self.path), kept_as=str(aside), error=str(error))
        return self._connect()

    def append(self, number: int, write_set: WriteSet) -> None:
        """Store a batch durably. Raises SpoolError, or UnfitError for values that cannot be encoded."""
        head, body = head_of(write_set), body_of(write_set.rows)
        size = len(head) + len(body) + _OVERHEAD_BYTES
        with self._using() as connection:
            if self.bytes + size > self._max_bytes:
                raise SpoolError(f"{self.path}: the spool is full ({self._max_bytes} bytes)", full=True)
            if not self._file.is_the_same():
                connection = self._saved(connection)  # noqa: PLW2901
            connection.execute(
                "INSERT INTO spool VALUES (?, ?, ?, ?, ?, ?)",
                (number, write_set.batch_id, write_set.session.session_id, write_set.row_count, head, body),
            )
            self.entries += 1
            self.bytes += size
            self.last_number = max(self.last_number, number)

    def first(self) -> Entry | None:
        """Return the entry of the smallest number."""
        with self._using() as connection:
            if not self.entries:
                return None
            row = connection.execute("SELECT * FROM spool ORDER BY number LIMIT 1").fetchone()
        return _entry(*row)

    def heads(self) -> Iterator[WriteSet]:
        """Yield each batch without its rows; batches whose bytes are damaged are left out."""
        with self._using() as connection:
            numbers = [number for (number,) in connection.execute("SELECT number FROM spool")]
        for number in numbers:
            with self._using() as connection:
                found = connection.execute("SELECT head FROM spool WHERE number = ?", (number,)).fetchone()
            try:
                yield read_head(found[0])
            except DamagedError:
                continue

    def remove(self, number: int) -> None:
        """Delete a batch that is in the database."""
        with self._using() as connection:
            self._delete(connection, number)

    def set_aside(self, number: int, reason: str) -> None:
        """Move an entry out of the way of the others, for a person to look at."""
        with self._using() as connection:
            connection.execute(
                "INSERT INTO aside SELECT *, ?, ? FROM spool WHERE number = ?",
                (reason, time.time_ns(), number),
            )
            self._delete(connection, number)

    def close(self) -> None:
        """Close the file, and remove it if nothing is in it. Idempotent."""
        with self._lock:
            if self._connection is None:
                return
            connection, self._connection = self._connection, None
            kept = self.entries
            try:
                kept += connection.execute("SELECT count(*) FROM aside").fetchone()[0]
                if not kept and self._file.is_the_same():
                    self.path.unlink()
                    Path(f"{self.path}-wal").unlink(missing_ok=True)
            except (sqlite_library().Error, OSError) as error:
                log.warning("spool.not_closed_well", path=str(self.path), error=str(error))
            connection.close()

    def _delete(self, connection: sqlite3.Connection, number: int) -> None:
        question = "DELETE FROM spool WHERE number = ? RETURNING length(head) + length(body)"
        for (size,) in connection.execute(question, (number,)).fetchall():
            self.entries -= 1
            self.bytes -= size + _OVERHEAD_BYTES
        if not self.entries:
            connection.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                raise SpoolError(f"{self.path}: the spool is not open")
            try:
                yield self._connection
            except sqlite_library().Error as error:
                raise SpoolError(f"{self.path}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite_library().connect(
            self.path, timeout=1.0, isolation_level=None, check_same_thread=False
        )
        try:
            with _closed_on_error(connection):
                self._set_up(connection)
        finally:
            self._file.remember()
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and mark != _APPLICATION_ID:
            raise UserError(f"{self.path} is a database, but not a spool; give spool.path another name")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if tables and version != FORMAT:
            raise UserError(
                f"{self.path} is a spool of format {version}, this program reads {FORMAT}; "
                "let the version that wrote it bring it in, or move it away"
            )
        for pragma in (
            "auto_vacuum = INCREMENTAL",
            "locking_mode = EXCLUSIVE",  # two collectors in one spool would take each other's batches
            "journal_mode = WAL",
            f"synchronous = {self._synchronous}",
            f"wal_autocheckpoint = {_LOG_PAGES}",
            f"application_id = {_APPLICATION_ID}",
            f"user_version = {FORMAT}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.executescript(_SCHEMA)

    def _measure(self, connection: sqlite3.Connection) -> None:
        sums = "count(*), COALESCE(SUM(length(head) + length(body)), 0), COALESCE(MAX(number), 0)"
        self.entries, size, self.last_number = connection.execute(f"SELECT {sums} FROM spool").fetchone()
        self.bytes = size + self.entries * _OVERHEAD_BYTES

    def _saved(self, old: sqlite3.Connection) -> sqlite3.Connection:
        """Copy everything into a new file: the one that is open was deleted or moved away."""
        log.warning("spool.file_changed", path=str(self.path))
        new = self._connect()
        with closing(old):
            old.backup(new)
        self._connection = new
        self._measure(new)
        return new

    def _why_not(self, error: Exception) -> str:
        if _is_held(error):
            return f"the spool {self.path} is in use by another collector; give this one another spool.path"
        return (
            f"the spool {self.path} cannot be opened: {error}; "
            "its folder must exist and be writable, or give spool.path another place"
        )


def _is_held(error: Exception) -> bool:
    """Return whether another process has the file open."""
    return "locked" in str(error)


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _entry(number: int, batch_id: str, session_id: str, count: int, head: bytes, body: bytes) -> Entry:
    read = None
    try:
        read = read_head(head)
        rows = read_body(body)
    except DamagedError as damage:
        return Entry(number, batch_id, session_id, count, read, None, str(damage))
    return Entry(number, batch_id, session_id, count, read, rows)
