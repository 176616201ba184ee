"""The tables of today in a new database, laid in a moment: a test of something else needs no migration."""

import functools
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from collector.database.url import database_url, sqlite_path
from collector.sinks.sql.sink import SqlSink


def lay_tables(url: str) -> str:
    """Make the tables, as a first start does; an SQLite file is a copy of one made before."""
    path = sqlite_path(database_url(url))
    if path is None:
        _migrate(url)
    elif not Path(path).exists():
        Path(path).write_bytes(_ready_file())
    return url


def _migrate(url: str) -> None:
    sink = SqlSink(url, synchronous="OFF", auto_migrate=True)
    sink.open()
    sink.close()


@functools.cache
def _ready_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ready.db"
        _migrate(str(path))
        with closing(sqlite3.connect(path)) as connection:  # each copy gets an identity of its own
            connection.execute("DELETE FROM collector_database")
            connection.commit()
        return path.read_bytes()
