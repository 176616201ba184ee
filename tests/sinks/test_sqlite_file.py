"""The SQLite file and those who share it: other processes, crashes, people who move files."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from collector.errors import DatabaseInUse, SinkError, UserError
from collector.sinks.contract import WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

OpenSink = Callable[..., SqlSink]
MakeBatch = Callable[..., WriteSet]

COLLECT = """
import itertools, sys
from collector.sinks.contract import Rows, SegmentState, SessionState, WriteSet
from collector.sinks.sql import SqlSink
sink = SqlSink(sys.argv[1])
sink.open()
session = SessionState("doomed", 1, "0", "h", 1, "[]")
for n in itertools.count():
    rows = Rows("book", {"timestamp": ["t"] * 500, "symbol": ["s"] * 500, "sequence": [n] * 500})
    segment = SegmentState(1, "doomed", "bybit", "s", "book.50", 1, n, n + 2, 1, n, 500, "sequence")
    sink.write(WriteSet(f"b{n}", session, (rows,), (segment,)))
    print(n, flush=True)
"""


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def kill_while_writing(path: Path, acknowledged: int) -> int:
    """Run a collector, kill it after so many batches; return the last batch that it acknowledged."""
    command = [sys.executable, "-c", COLLECT, lay_tables(str(path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        numbers = (int(line) for line in process.stdout if line.strip().isnumeric())
        last = next(number for number in numbers if number >= acknowledged)
        process.kill()
        return max([last, *numbers])


def test_after_kill_9_acknowledged_batches_are_whole_and_the_session_ends_as_a_crash(
    tmp_path: Path, open_sink: OpenSink
) -> None:
    path = tmp_path / "live.db"
    last = kill_while_writing(path, acknowledged=20)
    open_sink(str(path))
    counts = ask(path, "SELECT sequence, count(*) FROM l2_training_data_practical GROUP BY sequence")
    assert [count for _, count in counts] == [500] * len(counts)
    assert len(counts) >= last + 1
    assert ask(path, "SELECT count(*) FROM collector_batches") == [(len(counts),)]
    newest = len(counts) - 1
    assert ask(path, "SELECT end_cause, alive_until_ns, rows FROM collector_coverage") == [
        ("crash", newest + 2, 500 * len(counts))
    ]
    assert ask(path, "SELECT ended_ns, end_cause FROM collector_sessions") == [(newest + 2, "crash")]
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_second_collector_is_refused_before_it_touches_the_sessions_of_the_first(
    tmp_path: Path, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    path = tmp_path / "live.db"
    first = open_sink(str(path))
    first.write(make_batch("b1"))
    with pytest.raises(DatabaseInUse, match=r"in use by another collector: process \d+"):
        open_sink(str(path))
    assert ask(path, "SELECT end_cause FROM collector_sessions") == [(None,)]
    first.close()
    assert not open_sink(str(path)).write(make_batch("b2")).repeated


def test_a_bot_writes_its_own_table_beside_us(
    tmp_path: Path, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    path = tmp_path / "live.db"
    sink = open_sink(str(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as bot:
        bot.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, price REAL)")
        for number in range(20):
            bot.execute("INSERT INTO orders (price) VALUES (1.5)")
            sink.write(make_batch(f"b{number}"))
    assert ask(path, "SELECT count(*) FROM orders") == [(20,)]
    assert ask(path, "SELECT count(*) FROM l2_training_data_practical") == [(20,)]


@pytest.mark.parametrize("what_happens", ["deleted", "replaced"])
def test_a_file_deleted_or_replaced_is_noticed_and_opened_again(
    tmp_path: Path, open_sink: OpenSink, make_batch: MakeBatch, what_happens: str
) -> None:
    path = tmp_path / "live.db"
    sink = open_sink(str(path))
    sink.write(make_batch("b1"))
    if what_happens == "deleted":
        for found in tmp_path.glob("live.db*"):
            if found.suffix != ".lock":
                found.unlink()
    else:
        with closing(sqlite3.connect(tmp_path / "restored.db")) as other:
            other.execute("CREATE TABLE from_a_backup (x)")
        shutil.move(tmp_path / "restored.db", path)
    with pytest.raises(SinkError, match="deleted or replaced") as caught:
        sink.write(make_batch("b2"))
    assert caught.value.transient
    assert not sink.write(make_batch("b2")).repeated
    assert ask(path, "SELECT batch_id FROM collector_batches") == [("b2",)]
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    tables = {name for (name,) in ask(path, "SELECT name FROM sqlite_master")}
    assert ("from_a_backup" in tables) == (what_happens == "replaced")


def batches_of(path: Path) -> list[str]:
    return [str(one) for (one,) in ask(path, "SELECT batch_id FROM collector_batches ORDER BY committed_ns")]


def test_a_file_that_was_moved_away_is_completed_and_nothing_else_is_left(
    tmp_path: Path, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    """Its log, with the last rows, would stay under the old name."""
    path, gone = tmp_path / "live.db", tmp_path / "gone.db"
    sink = open_sink(str(path))
    sink.write(make_batch("b1"))
    sink.write(make_batch("b2"))
    path.rename(gone)
    with pytest.raises(SinkError):
        sink.write(make_batch("b3"))
    sink.write(make_batch("b3"))
    assert batches_of(gone) == ["b1", "b2"]
    assert batches_of(path) == ["b3"]
    assert list(tmp_path.glob("*stale*")) == []
    (told,) = sink.incidents
    assert f"moved to {gone}" in told
    assert "complete up to then" in told


def test_a_moved_file_that_somebody_else_has_opened_is_left_and_the_way_is_told(
    tmp_path: Path, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    path, gone = tmp_path / "live.db", tmp_path / "gone.db"
    sink = open_sink(str(path))
    sink.write(make_batch("b1"))
    path.rename(gone)
    (tmp_path / "gone.db-wal").write_bytes(b"a log of somebody else's")
    with pytest.raises(SinkError):
        sink.write(make_batch("b2"))
    sink.write(make_batch("b2"))
    (aside,) = tmp_path.glob("live.db-wal.stale-*")
    (told,) = sink.incidents
    assert f"cp {gone} whole.db && cp {aside} whole.db-wal" in told


def test_while_the_folder_is_gone_each_try_fails_and_the_first_after_it_succeeds(
    tmp_path: Path, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    folder = tmp_path / "mount"
    folder.mkdir()
    sink = open_sink(str(folder / "live.db"))
    folder.rename(tmp_path / "unmounted")
    for _ in range(2):
        with pytest.raises(SinkError) as caught:
            sink.write(make_batch("b1"))
        assert caught.value.transient
    (tmp_path / "unmounted").rename(folder)
    assert not sink.write(make_batch("b1")).repeated


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path, open_sink: OpenSink) -> None:
    path = tmp_path / "live.db"
    path.write_text("a letter to my grandmother, long enough to be more than a header of SQLite" * 20)
    with pytest.raises(UserError, match=r"live\.db cannot be .*not a database"):
        open_sink(str(path))
    path.unlink()
    open_sink(str(path))


def test_it_works_where_wal_cannot_be_had(tmp_path: Path, open_sink: OpenSink, make_batch: MakeBatch) -> None:
    path = tmp_path / "live.db"
    assert not open_sink(f"sqlite:///{path}?vfs=unix-none").write(make_batch(count=10)).repeated
    assert ask(path, "PRAGMA journal_mode") == [("delete",)]
    assert ask(path, "SELECT count(*) FROM l2_training_data_practical") == [(10,)]
