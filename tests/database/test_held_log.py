"""A reader that holds the log is named; one that is done is not."""

import sqlite3
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from long_reader import long_reader

from collector.database import held_log
from collector.database.held_log import log_bytes, log_readers

ONLY_LINUX = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who holds a lock")


@ONLY_LINUX
def test_a_reader_that_stays_is_named_with_what_it_holds_back(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (x)")
        writer.execute("INSERT INTO t VALUES (randomblob(100000))")
        writer.commit()
        assert log_readers(path, watch_s=0.1) == []
        with long_reader(path) as pid:
            (found,) = log_readers(path, watch_s=0.1)
            assert found.pid == pid
            assert "python" in found.command
            assert found.for_s >= 0.1
            assert found.log_bytes == log_bytes(path) > 100_000
        assert log_readers(path, watch_s=0.1) == []


@ONLY_LINUX
def test_one_that_is_done_while_it_is_watched_is_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "live.db"
    holders = held_log._holders
    with closing(sqlite3.connect(path)) as writer, ExitStack() as brief:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (x)")
        writer.commit()
        brief.enter_context(long_reader(path))
        counts: list[int] = []

        def look(database: Path) -> set[int]:
            found = holders(database)
            counts.append(len(found))
            brief.close()
            return found

        monkeypatch.setattr(held_log, "_holders", look)
        with long_reader(path) as pid:
            assert [one.pid for one in log_readers(path, watch_s=0.1)] == [pid]
        assert counts[:2] == [2, 1]


def test_without_a_log_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert log_readers(tmp_path / "none.db") == []
    assert log_bytes(tmp_path / "none.db") == 0
