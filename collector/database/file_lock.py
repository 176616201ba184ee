"""Lock an SQLite file for the one collector that writes it.

SQLite would let two take turns, but their coverage and sequence would make no sense together, and a
single connection that writes and checkpoints is what keeps clear of the WAL faults of older versions. A bot
that writes its own tables is not concerned. On PostgreSQL the streams are locked, not the database.
"""

import fcntl
import json
import os
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from collector.database.faults import opening_error
from collector.errors import DatabaseInUse

NOT_STOPPED_HERE = "an ingestor of it was not stopped (in a notebook: the cell ran before)"
_LOOKED_AT_S = 0.1  # at most, by a reader that asks whether anybody writes


class WriterLock:
    """A lock file beside the database, released by the kernel however its holder ends."""

    def __init__(self, database: Path) -> None:
        self._database = database
        # Two names of one file must meet in one lock.
        self.path = Path(os.path.realpath(database) + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, or raise DatabaseInUse naming who holds it. Idempotent."""
        if self._descriptor is not None:
            return
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            text = f"cannot make the lock file {self.path}: {error.strerror}; the folder must be writable"
            raise opening_error(error, text) from error
        try:
            _lock(descriptor)
            self._write_holder(descriptor)
        except BlockingIOError:
            holder = _describe(os.pread(descriptor, 4096, 0))
            os.close(descriptor)
            raise DatabaseInUse(
                f"the database {self._database} is in use by another collector: {holder}; "
                f"stop that one, or give this one another database"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise opening_error(error, f"cannot lock {self.path}: {error.strerror}") from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock. Idempotent. The file stays: without it, two could hold two files of one name."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @staticmethod
    def _write_holder(descriptor: int) -> None:
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(sys.argv[:2]),  # no further: an argument may hold a password
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def file_holder(database: Path) -> str | None:
    """Return who writes an SQLite file; None if nobody does. Neither makes a lock file nor keeps a lock."""
    try:
        descriptor = os.open(WriterLock(database).path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe(os.pread(descriptor, 4096, 0))
    finally:
        os.close(descriptor)
    return None


def _lock(descriptor: int) -> None:
    """Take the lock; let who only looks at it finish. Raises BlockingIOError if a collector has it."""
    until_s = time.monotonic() + _LOOKED_AT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_s:
                raise
            time.sleep(_LOOKED_AT_S / 10)
        else:
            return


def _describe(content: bytes) -> str:
    try:
        holder = json.loads(content)
        who = f"process {holder['pid']} on {holder['host']}, since {holder['started']} ({holder['command']})"
        is_here = (holder["pid"], holder["host"]) == (os.getpid(), socket.gethostname())
    except (ValueError, KeyError, TypeError):
        return "one that has not said who it is"  # caught between taking the lock and writing its name
    return f"{who}, which is this process: {NOT_STOPPED_HERE}" if is_here else who
