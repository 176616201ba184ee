"""A database has one identity for ever, whoever asks, and under whatever name it is reached."""

import sys
import threading
from pathlib import Path

import pytest

from collector.sinks.contract import SessionState
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

SESSION = SessionState("session-1", 1_000, "0", "host", 1, "{}")


def seen(url: str, table: str = "books") -> str:
    sink = SqlSink(lay_tables(url), table, auto_migrate=True)
    assert sink.identity == ""
    sink.open()
    try:
        return sink.identity
    finally:
        sink.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "live.db")
    return str(request.getfixturevalue("postgres_url"))


def test_it_is_the_same_at_each_opening_and_for_each_table(url: str) -> None:
    found = seen(url)
    assert len(found) == 36
    assert seen(url, "other_books") == found


def test_two_that_begin_at_once_see_one(empty_postgres_url: str) -> None:
    found: list[str] = []
    both = threading.Barrier(4)

    def begin() -> None:
        both.wait(20.0)
        found.append(seen(empty_postgres_url))

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_copy_has_it_and_another_file_has_not(tmp_path: Path) -> None:
    found = seen(str(tmp_path / "live.db"))
    (tmp_path / "copy.db").write_bytes((tmp_path / "live.db").read_bytes())
    assert seen(str(tmp_path / "copy.db")) == found
    assert seen(str(tmp_path / "other.db")) != found


def test_a_file_made_where_it_was_deleted_goes_on_under_it(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    sink = SqlSink(lay_tables(str(path)), "books")
    sink.open()
    before = sink.identity
    path.unlink()
    with pytest.raises(Exception, match="deleted or replaced"):
        sink.claim(SESSION, ())
    assert sink.identity == before
    sink.close()
    assert seen(str(path)) == before


def test_a_database_of_another_identity_put_in_its_place_is_seen(tmp_path: Path) -> None:
    other = seen(str(tmp_path / "other.db"))
    sink = SqlSink(lay_tables(str(tmp_path / "live.db")), "books")
    sink.open()
    (tmp_path / "other.db").rename(tmp_path / "live.db")
    with pytest.raises(Exception, match="deleted or replaced"):
        sink.claim(SESSION, ())
    assert sink.identity == other
    sink.close()


def test_a_database_knows_the_sessions_that_began_there(url: str) -> None:
    sink = SqlSink(lay_tables(url), "books", auto_migrate=True)
    sink.open()
    assert not sink.knows(["session-1"])
    sink.claim(SESSION, ())
    assert sink.knows([*(f"other-{number}" for number in range(1200)), "session-1"])
    assert not sink.knows([])
    sink.close()
