"""A database that cannot be opened says why, in its own words; and nothing is held of it afterwards."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.database.engine import make_engine
from collector.database.file_lock import WriterLock
from collector.errors import DatabaseInUse, UserError
from collector.events.batch import StreamKey
from collector.sinks.contract import SessionState
from collector.sinks.sql.open_database import OpenDatabase
from collector.sinks.sql.sink import SqlSink


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            sa.exc.OperationalError("SELECT 1", None, sqlite3.OperationalError("disk I/O error")),
            "disk I/O error",
        ),
        (sqlite3.OperationalError("disk I/O error"), "disk I/O error"),  # of a statement that its driver got
        (sa.exc.TimeoutError("no connection in time"), "no connection in time"),
        (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied"),
    ],
)
def test_what_stands_in_the_way_is_told_without_the_library_s_own_words(
    tmp_path: Path, error: Exception, words: str
) -> None:
    def refuse(_url: sa.URL) -> sa.Engine:
        raise error

    path = tmp_path / "live.db"
    held = OpenDatabase(str(path), "books", refuse, lambda: 1)
    for _ in range(2):  # the lock was let go of
        with pytest.raises(UserError) as caught:
            held.open()
        assert str(caught.value) == f"the database {path} cannot be opened: {words}"
        assert caught.value.__cause__ is error
    assert not held.is_open
    with pytest.raises(RuntimeError, match="open\\(\\) comes first"):
        _ = held.engine


def test_a_fault_of_ours_is_not_told_as_the_database_s_and_nothing_is_held(tmp_path: Path) -> None:
    def fail(_url: sa.URL) -> sa.Engine:
        raise KeyError("a name that is not there")

    held = OpenDatabase(str(tmp_path / "live.db"), "books", fail, lambda: 1)
    with pytest.raises(KeyError):
        held.open()
    with WriterLock(tmp_path / "live.db"):
        assert not held.is_open


def test_what_was_closed_is_open_no_longer_and_can_be_opened_again(tmp_path: Path) -> None:
    held = OpenDatabase(str(tmp_path / "live.db"), "books", make_engine, lambda: 1)
    for _ in range(2):
        held.open()
        assert held.is_open
        held.close()
        assert not held.is_open


def test_a_reserved_file_stays_reserved_however_often_it_cannot_be_opened(tmp_path: Path) -> None:
    """A collector that waits for its database tries it again and again; another must not get in between."""

    def refuse(_url: sa.URL) -> sa.Engine:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "live.db"
    waiting = OpenDatabase(str(path), "books", refuse, lambda: 1)
    waiting.reserve()
    for _ in range(2):
        with pytest.raises(UserError, match="Permission denied"):
            waiting.open()
        with pytest.raises(DatabaseInUse):
            WriterLock(path).acquire()
    waiting.close()
    with WriterLock(path):
        pass


def test_the_cache_of_a_file_grows_with_what_one_batch_changes(tmp_path: Path) -> None:
    """Beyond its cache SQLite writes pages before their time, and again at the end."""
    sink = SqlSink(str(tmp_path / "live.db"), auto_migrate=True)
    session = SessionState("session-1", 1, "0", "host", 1, "[]")

    def cached_kib(connection: sa.Connection) -> int:
        return -int(connection.exec_driver_sql("PRAGMA cache_size").scalar_one())

    found = []
    sink.open()
    for count in (10, 500):
        sink.claim(session, [StreamKey("bybit", f"S{number}", "book.50") for number in range(count)])
        found.append(sink.maintain(cached_kib))
    sink.close()
    sink.open()
    assert found == [2000, sink.maintain(cached_kib)]
    assert found[1] >= 500 * 2 * 4  # a stream: the end of an index, and what a split of it touches
    sink.close()
