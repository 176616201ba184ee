"""Store batches in a second SQLite file while the database takes none: in order, durable, bounded.

A batch is one row: its head (session, segments, accounts) and its body (the rows), each compact and with a
checksum. Entries leave in the order of their numbers, not in the order in which they came: a batch that was
on its way to the database goes before those that were taken after it.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from collector.database import SqliteFile, may_come_back, sqlite_library
from collector.errors import SpoolError, SpoolRefused
from collector.loggers import get_logger
from collector.sinks import Rows, WriteSet
from collector.spool.codec import DamagedError, body_of, head_of, read_body, read_head
from collector.spool.owner import SpoolOwner, Stamp, is_of
from collector.spool.repair import finish, is_damage, repair
from collector.spool.tables import connect, is_held, is_spool, set_up, stamp_of, write_copy, write_stamp
from collector.spool.turns import nothing_opened, nothing_removed

_OVERHEAD_BYTES = 256  # of an entry, beside its bytes
_FIRST = "SELECT *, number IN (SELECT number FROM after_loss) FROM spool ORDER BY number LIMIT 1"

Result = TypeVar("Result")

log = get_logger(__name__)


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
    is_after_loss: bool = False  # the entry before it may have been lost when the file was repaired


class SpoolFile:
    """A file that stays open from start to end, used by this process alone. For any thread, one at a time."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        synchronous: str = "FULL",
        owner: SpoolOwner | None = None,
        by_name: bool = False,  # its name is made of the address of its database
        may_replace: bool = True,  # if it is damaged
    ) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._synchronous = synchronous
        self._owner = owner or SpoolOwner()
        self._by_name = by_name
        self._may_replace = may_replace
        self._file = SqliteFile(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None  # guarded by _lock, like all below
        self._is_wanted = False
        self._was_open = False
        self._stamp = Stamp()  # that the file carries
        self.entries = 0
        self.bytes = 0
        self.last_number = 0
        self.repairs = 0  # how often it was damaged, and replaced by what could be read

    def open(self) -> None:
        """Open the file, making it if it is not there. Raises SpoolRefused when it cannot be had."""
        with self._lock:
            if self._connection is not None:
                return
            try:
                with nothing_removed(self.path.parent):
                    self._open()
            except sqlite_library().OperationalError as error:
                raise self._refused(error) from error
            except (SpoolError, OSError) as error:
                raise SpoolRefused(str(error), passing=may_come_back(error.__cause__ or error)) from error

    def append(self, number: int, write_set: WriteSet) -> None:
        """Store a batch durably. Raises SpoolError, or UnfitError for values that cannot be encoded."""
        head, body = head_of(write_set), body_of(write_set.rows)
        size = len(head) + len(body) + _OVERHEAD_BYTES
        row = (number, write_set.batch_id, write_set.session.session_id, write_set.row_count, head, body)

        def append(connection: sqlite3.Connection) -> None:
            if self.bytes + size > self._max_bytes:
                raise SpoolError(f"{self.path}: the spool is full ({self._max_bytes} bytes)", full=True)
            if not self._file.is_the_same():
                connection = self._saved(connection)
            if self._stamp.identity != self._owner.identity():
                self._mark(connection)
            connection.execute("INSERT INTO spool VALUES (?, ?, ?, ?, ?, ?)", row)
            self.entries += 1
            self.bytes += size
            self.last_number = max(self.last_number, number)

        self._do(append)

    def first(self) -> Entry | None:
        """Return the entry of the smallest number."""

        def first(connection: sqlite3.Connection) -> tuple[object, ...] | None:
            if not self.entries:
                return None
            row = connection.execute(_FIRST).fetchone()
            if row is None:
                raise sqlite_library().DatabaseError("malformed: entries are gone")
            return tuple(row)

        row = self._do(first)
        return None if row is None else _entry(*row)

    def heads(self) -> Iterator[WriteSet]:
        """Yield each batch without its rows; batches whose bytes are damaged are left out."""
        for number in self.numbers():
            question = "SELECT head FROM spool WHERE number = ?"
            found = self._do(lambda connection: connection.execute(question, (number,)).fetchone())  # noqa: B023
            if found is None:
                continue
            try:
                yield read_head(found[0])
            except DamagedError:
                continue

    def numbers(self) -> list[int]:
        """Return the numbers of all entries, in order."""
        question = "SELECT number FROM spool ORDER BY number"
        return self._do(lambda connection: [number for (number,) in connection.execute(question)])

    def first_number(self) -> int:
        """Return the smallest number; 0 where there is none."""
        question = "SELECT COALESCE(MIN(number), 0) FROM spool"
        return int(self._do(lambda connection: connection.execute(question).fetchone()[0]))

    def remove(self, number: int) -> None:
        """Delete a batch that is in the database."""
        self._do(lambda connection: self._delete(connection, number))

    def set_aside(self, number: int, reason: str) -> None:
        """Move an entry out of the way of the others, for a person to look at."""

        def set_aside(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO aside SELECT *, ?, ? FROM spool WHERE number = ?",
                (reason, time.time_ns(), number),
            )
            self._delete(connection, number)

        self._do(set_aside)

    def close(self) -> None:
        """Close the file, and remove it if nothing is in it. Idempotent."""
        with self._lock, nothing_opened(self.path.parent) as may_remove:
            self._is_wanted = False
            if self._connection is None:
                return
            connection, self._connection = self._connection, None
            kept = self.entries
            try:
                kept += connection.execute("SELECT count(*) FROM aside").fetchone()[0]
                if may_remove and not kept and self._file.is_the_same():
                    self.path.unlink()
                    Path(f"{self.path}-wal").unlink(missing_ok=True)
            except (sqlite_library().Error, OSError) as error:
                log.warning("spool.not_closed_well", path=str(self.path), error=str(error))
            connection.close()

    def _delete(self, connection: sqlite3.Connection, number: int) -> None:
        question = "DELETE FROM spool WHERE number = ? RETURNING length(head) + length(body)"
        sizes = [size for (size,) in connection.execute(question, (number,)).fetchall()]
        if not sizes:
            first = connection.execute("SELECT min(number) FROM spool").fetchone()[0]
            if first == number:
                raise sqlite_library().DatabaseError(f"malformed: entry {number} cannot be deleted")
        connection.execute("DELETE FROM after_loss WHERE number = ?", (number,))
        for size in sizes:
            self.entries -= 1
            self.bytes -= size + _OVERHEAD_BYTES
        if not self.entries:
            connection.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page

    def _do(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Work with the file; replace it once by what can be read of it when it turns out to be damaged."""
        with self._lock:
            if not self._is_wanted:
                raise SpoolError(f"{self.path}: the spool is not open")
            try:
                if self._connection is None:  # it could not be replaced the last time
                    self._open()
                return work(self._connected())
            except sqlite_library().Error as error:
                if not is_damage(error):
                    raise SpoolError(f"{self.path}: {error}") from error
                self._replace(error)
            except SpoolRefused as error:
                raise SpoolError(str(error)) from error
            try:
                return work(self._connected())
            except sqlite_library().Error as error:
                raise SpoolError(f"{self.path}: {error}") from error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise SpoolError(f"{self.path}: the spool is not open")
        return self._connection

    def _open(self) -> None:
        self._is_wanted = True
        finish(self.path)
        try:
            self._connect()
        except sqlite_library().DatabaseError as error:
            if not is_damage(error):
                raise
            self._replace(error)

    def _connect(self) -> None:
        """Open the file as it is, if it is ours."""
        connection = connect(self.path)
        try:
            set_up(connection, self.path, self._synchronous)
            self._stamp = stamp_of(connection)
            self._measure(connection)
            self._check_owner(connection)
        except BaseException:
            connection.close()
            raise
        finally:
            self._file.remember()
        self._connection, self._was_open = connection, True

    def _replace(self, error: Exception) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        stamp, identity = self._stamp, self._owner.identity()
        if not self._may_replace or (stamp.identity and identity and stamp.identity != identity):
            raise SpoolRefused(f"the spool {self.path} is damaged, and not known to be ours: {error}")
        if not (self._was_open or self._by_name or is_spool(self.path)):
            raise SpoolRefused(f"{self.path} is there, and is not a spool; give spool.path another name")
        if repair(self.path, lambda path, found: write_copy(path, found, stamp), str(error)) is not None:
            self.repairs += 1
        self._connect()

    def _check_owner(self, connection: sqlite3.Connection) -> None:
        stamp = self._stamp
        question = "SELECT DISTINCT session_id FROM spool"
        sessions = [str(name) for (name,) in connection.execute(question)] if self.entries else []
        if sessions and not is_of(self._owner, stamp, sessions, by_name=self._by_name):
            raise SpoolRefused(
                f"the spool {self.path} holds {self.entries} batches for {self._owner.other(stamp)}: "
                "collect into that one to bring them in, give this one another spool.path, or move the "
                "file away",
                of_another=True,
            )
        if stamp != self._owner.stamp(stamp):
            self._mark(connection)

    def _mark(self, connection: sqlite3.Connection) -> None:
        """Let the file say which database it belongs to, as far as that is known."""
        self._stamp = self._owner.stamp(self._stamp)
        write_stamp(connection, self._stamp)

    def _measure(self, connection: sqlite3.Connection) -> None:
        sums = "count(*), COALESCE(SUM(length(head) + length(body)), 0), COALESCE(MAX(number), 0)"
        self.entries, size, self.last_number = connection.execute(f"SELECT {sums} FROM spool").fetchone()
        self.bytes = size + self.entries * _OVERHEAD_BYTES

    def _saved(self, old: sqlite3.Connection) -> sqlite3.Connection:
        """Copy everything into a new file: the one that is open was deleted or moved away."""
        log.warning("spool.file_changed", path=str(self.path))
        self._connection = None
        try:
            self._connect()
        finally:
            self._connection = self._connection or old
        new = self._connection
        with closing(old):
            old.backup(new)
        self._measure(new)
        return new

    def _refused(self, error: Exception) -> SpoolRefused:
        if is_held(error):
            text = f"the spool {self.path} is in use by another collector; give this one another spool.path"
            return SpoolRefused(text, held=True)
        return SpoolRefused(
            f"the spool {self.path} cannot be opened: {error}; "
            "its folder must exist and be writable, or give spool.path another place",
            passing=may_come_back(error),
        )


def _entry(number: object, batch: object, session: object, *values: object) -> Entry:
    """Read an entry, whatever its columns hold."""
    count, head, body, is_after_loss = values
    named = int(str(number)), str(batch), str(session), count if isinstance(count, int) else 0
    read = None
    try:
        read = read_head(head if isinstance(head, bytes) else b"")
        rows = read_body(body if isinstance(body, bytes) else b"")
    except DamagedError as damage:
        return Entry(*named, read, None, str(damage), bool(is_after_loss))
    return Entry(*named, read, rows, is_after_loss=bool(is_after_loss))
