"""Detect that an SQLite file is no longer the one that was opened.

SQLite goes on "succeeding" into a file that was deleted or moved away. And a write-ahead log that stays
behind beside a restored file would be played into it, mixing two databases.
"""

import sqlite3
import time
from pathlib import Path
from types import ModuleType

from collector.loggers import get_logger

try:
    import pysqlite3
except ImportError:  # no wheel for this platform
    pysqlite3 = None

_chosen: list[ModuleType] = []


def use_newest_sqlite() -> None:
    """Select the newest SQLite installed, in a process that is ours alone. Too late after the first use."""
    if not _chosen:
        candidates = [sqlite3] if pysqlite3 is None else [sqlite3, pysqlite3]
        _chosen.append(max(candidates, key=lambda module: module.sqlite_version_info))


def sqlite_library() -> ModuleType:
    """Return the module to connect with; from then on it is the one of this process."""
    if not _chosen:
        _chosen.append(sqlite3)
    return _chosen[0]


def sqlite_version() -> str:
    """Return the version of SQLite that this process uses."""
    return str(sqlite_library().sqlite_version)


Identity = tuple[int, int]

log = get_logger(__name__)


class SqliteFile:
    """The file that was opened, and its log, known by device and inode."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log_path = Path(f"{path}-wal")
        self._file: Identity | None = None
        self._log: Identity | None = None

    def remember(self) -> None:
        """Take what is there now as the file that was opened."""
        self._file = _identity(self.path)
        self.remember_log()

    def remember_log(self) -> None:
        """Take the log that is there now as ours: SQLite makes a new one with each first connection."""
        self._log = _identity(self._log_path)

    def is_the_same(self) -> bool:
        """Return whether the path still leads to the file that was opened."""
        return self._file is not None and _identity(self.path) == self._file

    @property
    def identity(self) -> Identity | None:
        """Return device and inode of the file that was opened."""
        return self._file

    def set_stale_log_aside(self) -> Path | None:
        """Rename the log of the former file, if it is still there and the file is not; an empty one goes."""
        if self.is_the_same() or self._log is None or _identity(self._log_path) != self._log:
            return None
        if not self._log_path.stat().st_size:
            self._log_path.unlink()
            Path(f"{self.path}-shm").unlink(missing_ok=True)
            return None
        aside = self._log_path.with_name(f"{self._log_path.name}.stale-{time.time_ns()}")
        self._log_path.rename(aside)
        Path(f"{self.path}-shm").unlink(missing_ok=True)  # only an index of that log
        log.warning("database.stale_log_set_aside", path=str(aside))
        return aside


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
