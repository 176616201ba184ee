"""The tables of today in a new database, laid in a moment: a test of something else needs no migration."""

import functools
import tempfile
from pathlib import Path

import sqlalchemy as sa

from collector.database.url import database_url, sqlite_path
from collector.sinks.sql.sink import SqlSink


def lay_tables(url: str) -> str:
    """Make an SQLite file with the tables unless it is there; on the server, fixtures make such databases."""
    path = sqlite_path(database_url(url))
    if path is not None and not Path(path).exists():
        Path(path).write_bytes(_ready_file())
    return url


def migrate(url: str) -> None:
    """Make the tables as a first start does, in a database to be copied: each copy gets its own identity."""
    sink = SqlSink(url, synchronous="OFF", auto_migrate=True)
    sink.open()
    sink.maintain(lambda connection: connection.execute(sa.text("DELETE FROM collector_database")).rowcount)
    sink.close()


@functools.cache
def _ready_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ready.db"
        migrate(str(path))
        return path.read_bytes()
