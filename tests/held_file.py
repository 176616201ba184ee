"""Hold an SQLite file, so that nobody else gets in."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(database: Path) -> Iterator[sqlite3.Connection]:
    """Hold a file as a backup or a VACUUM does."""
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield connection
    finally:
        connection.close()
