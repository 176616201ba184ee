"""Choose the SQLite of this process: one for all of it, for ever.

Two copies of SQLite that open one file in one process see nothing of each other's locks, and the first to
close the file drops the locks of both (https://www.sqlite.org/howtocorrupt.html section 2.2.1). A bot that
writes its own table through the `sqlite3` of the standard library while we wrote through another copy
destroyed the file within seconds. So in somebody else's process we use what it would use: `sqlite3`.

Our own program owns its process and may choose the newer copy of `pysqlite3`: SQLite 3.7.0 to 3.51.2, which
most Pythons carry, can in rare cases corrupt a WAL file (https://www.sqlite.org/wal.html).
"""

import sqlite3
from types import ModuleType

try:
    import pysqlite3
except ImportError:  # no wheel for this platform
    pysqlite3 = None

_chosen: list[ModuleType] = []


def use_newest_sqlite() -> None:
    """Choose the newest SQLite installed, in a process that is ours alone; too late after the first use."""
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
