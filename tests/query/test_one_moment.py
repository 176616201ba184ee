"""A child sees the moment that its connection sees, and leaves the locks of a writer here alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from collector import load_features
from collector.database.engine import make_engine
from collector.database.url import database_url
from collector.query.fast import engines
from collector.query.fast.engines import reading_beside, started
from collector.query.fast.reader import Reader
from collector.query.rows.raw_rows import chunks

sys.path.insert(0, str(Path(__file__).parent))
from stored import FIRST_SEGMENT, START_NS, STEP_NS, SYMBOL, Row, Stored, prepare, write

pytest.importorskip("adbc_driver_sqlite")
HOT = "l2_training_data_practical"
COUNT = 40


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, sa.Connection, Reader]]:
    """Store some rows twice, and keep a writer's connection to them and a child that reads them."""
    path = prepare(str(tmp_path_factory.mktemp("live") / "live.db"))
    rows = [Row(START_NS + place * STEP_NS, FIRST_SEGMENT, 1.0 + place) for place in range(COUNT)]
    write(path, Stored(rows, {FIRST_SEGMENT: rows[-1].at_ns}))
    engine = make_engine(database_url(path))
    with engine.connect() as connection, started(path) as child:
        change(connection, f"CREATE TABLE kept AS SELECT * FROM {HOT}")
        assert child is not None
        yield path, connection, child
        assert child.is_free  # no question failed
    engine.dispose()


@pytest.fixture
def child(stored: tuple[str, sa.Connection, Reader]) -> Reader:
    """Return the child that tests share: most of what one costs is the start."""
    return stored[2]


@pytest.fixture
def shared(child: Reader, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Let whoever would start a child have this one."""
    monkeypatch.setattr(engines, "started", lambda _: nullcontext(child))
    return child


@pytest.fixture
def live(stored: tuple[str, sa.Connection, Reader]) -> tuple[str, sa.Connection]:
    """Return the file as it was at first, and the writer's connection."""
    path, connection, _ = stored
    change(connection, f"DELETE FROM {HOT}")
    change(connection, f"INSERT INTO {HOT} SELECT * FROM kept")
    return path, connection


def prices(connection: sa.Connection, rows: int = 10_000) -> list[float]:
    table = sa.table(HOT, sa.column("mid_price", sa.REAL()), sa.column("id", sa.INTEGER()))
    query = sa.select(table.c.mid_price).order_by(table.c.id)
    return [price for chunk in chunks(connection, query, rows) for price in chunk["mid_price"].tolist()]


def change(connection: sa.Connection, sql: str) -> None:
    with connection.begin():
        connection.exec_driver_sql(sql)


def test_what_is_committed_while_it_reads_is_not_seen(live: tuple[str, sa.Connection], child: Reader) -> None:
    path, writer = live
    for expected in (COUNT, 3):
        with reading_beside(child, path, HOT) as (connection, _):
            change(writer, f"DELETE FROM {HOT} WHERE mid_price > 3")
            change(writer, f"UPDATE {HOT} SET depth = depth + 1")
            assert len(prices(connection)) == len(prices(connection, 5)) == expected
    assert child.is_free


@pytest.mark.parametrize(("times", "told"), [(3, []), (10**6, ["read.no_quiet_moment"])])
def test_a_commit_between_two_beginnings_is_noticed(
    live: tuple[str, sa.Connection], shared: Reader, times: int, told: list[str]
) -> None:
    """Whenever the child has looked, so many times, something is committed."""
    path, writer = live
    look, rows = shared.look, shared.rows
    commits = iter(range(times))
    asked: list[bool] = []

    def looking() -> None:
        look()
        if next(commits, None) is not None:
            change(writer, f"UPDATE {HOT} SET depth = depth + 1")

    def reading(*question: Any) -> Iterator[Any]:
        asked.append(True)
        return rows(*question)

    with capture_logs() as logs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared, "look", looking)
        patch.setattr(shared, "rows", reading)
        patch.setattr(engines, "_TRIES", 6)
        assert len(load_features(path, SYMBOL, engine="arrow")) == COUNT
    assert [line["event"] for line in logs] == told
    assert asked == ([] if told else [True])


def test_another_file_in_its_place_is_noticed(live: tuple[str, sa.Connection], child: Reader) -> None:
    path = Path(live[0])
    own = path.with_name("own")
    child.look()
    assert child.begin()
    child.end()
    path.rename(own)
    try:
        path.touch()  # whoever read its own would let go of the locks of the writer here
        child.look()
        assert not child.begin()
    finally:
        own.replace(path)


def locks(path: str) -> set[tuple[str, ...]]:
    """Return which bytes of the file and of its shared memory this process has locked, and how."""
    inodes = {str(Path(f"{path}{end}").stat().st_ino) for end in ("", "-shm")}
    lines = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    return {
        tuple(line[2:])
        for line in lines
        if line[1] == "POSIX" and line[4] == str(os.getpid()) and line[5].split(":")[-1] in inodes
    }


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="this system does not tell locks")
def test_a_writer_keeps_its_locks(live: tuple[str, sa.Connection]) -> None:
    path, writer = live
    with writer.begin():
        writer.exec_driver_sql(f"DELETE FROM {HOT} WHERE mid_price > 3")
        before = locks(path)
        assert len({inode for _, _, _, inode, *_ in before}) == 2  # on the file, and on the log
        assert len(load_features(path, SYMBOL, engine="arrow")) == COUNT
        assert locks(path) == before
        other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", other, path], capture_output=True, text=True, check=False
        )
        assert "database is locked" in done.stderr


def test_an_interrupt_at_the_terminal_is_the_parents(live: tuple[str, sa.Connection], child: Reader) -> None:
    path, _ = live
    with reading_beside(child, path, HOT) as (connection, _tables):
        os.kill(child.pid, signal.SIGINT)
        assert len(prices(connection)) == COUNT
        assert child.is_free


PROGRAM = f"""
import sys
from collector.database import use_newest_sqlite
use_newest_sqlite()
import sqlalchemy as sa
from collector.query.fast.engines import can_be_fast, reading_beside, started
from collector.query.rows.raw_rows import chunks

path = sys.argv[1]
assert can_be_fast(path, "arrow")
query = sa.select(sa.table("{HOT}", sa.column("symbol", sa.TEXT())).c.symbol)
with started(path) as child, reading_beside(child, path, "{HOT}") as (connection, _):
    print(sum(len(one["symbol"]) for one in chunks(connection, query, 10_000)), child.is_free)
print([one for one in sys.modules if one.startswith("adbc")])
"""


def test_no_second_library_comes_into_the_process(live: tuple[str, sa.Connection]) -> None:
    """Asked without what makes a frame, whose import takes half a second."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, live[0]], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{COUNT} True", "[]"]
