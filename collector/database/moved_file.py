"""Find what became of an SQLite file that was moved away while it was open, and complete it.

Its log stays behind under the old name, with all that was committed since the last checkpoint: neither file
is whole without the other. While the old connection is open both are within reach.
"""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from collector.database.held_log import log_bytes
from collector.database.sqlite_file import Identity, sqlite_library

_DESCRIPTORS = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class MovedFile:
    """What was done about a file that is no longer under its name."""

    path: Path  # its name
    now_at: Path | None  # where it is now; None if it is gone or nobody can tell
    is_complete: bool  # the log was brought into it

    def told(self, aside: Path | None) -> str:
        """Say what happened and what to do; `aside` is the log, where it was set aside."""
        if self.now_at is not None and self.is_complete:
            return (
                f"{self.path} was moved to {self.now_at} while it was written: that file is complete up to "
                f"then, and what came later is in a new {self.path}; to read both, keep both"
            )
        what = f"moved to {self.now_at}" if self.now_at is not None else "deleted or replaced"
        if aside is None:
            return f"{self.path} was {what} while it was written; what came later is in the file there now"
        moved = quote(str(self.now_at)) if self.now_at is not None else "THE_MOVED_FILE"
        return (
            f"{self.path} was {what} while it was written; its last rows are in {aside}. If you have the "
            f"moved file, this makes it whole: cp {moved} whole.db && cp {quote(str(aside))} whole.db-wal && "
            f"sqlite3 whole.db 'PRAGMA wal_checkpoint(TRUNCATE)'"
        )


def complete_moved_file(connection: Any, path: Path, identity: Identity | None) -> MovedFile:
    """Bring the log into the file that the open connection writes, if it still has a name.

    Not where somebody else has opened it under its new name: that one has a log of its own.
    """
    now_at = _name_of(identity)
    if now_at is None or now_at == path or log_bytes(now_at):
        return MovedFile(path, now_at, is_complete=False)
    try:
        busy, in_log, moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite_library().Error:
        return MovedFile(path, now_at, is_complete=False)
    return MovedFile(path, now_at, is_complete=not busy and in_log == moved)


def _name_of(identity: Identity | None) -> Path | None:
    """Return the present name of a file that this process has open."""
    if identity is None or not _DESCRIPTORS.is_dir():
        return None
    for entry in _DESCRIPTORS.iterdir():
        try:
            found, name = entry.stat(), entry.readlink()
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == identity and found.st_nlink and name.exists():
            return name
    return None
