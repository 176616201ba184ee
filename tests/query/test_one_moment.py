"""A child sees the moment that its connection sees, and leaves the locks of a writer here alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

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
from stored import FIRST_SEGMENT, START_NS, STEP_NS, SYMBOL, Row, Stored, write

pytest.importorskip("adbc_driver_sqlite")
HOT = "l2_training_data_practical"
COUNT = 40


@pytest.fixture
def live(stored_file: str) -> Iterator[tuple[str, sa.Connection]]:
    """Store some rows, and keep a writer's connection to them."""
    rows = [Row(START_NS + place * STEP_NS, FIRST_SEGMENT, 1.0 + place) for place in range(COUNT)]
    write(stored_file, Stored(rows, {FIRST_SEGMENT: rows[-1].at_ns}))
    engine = make_engine(database_url(stored_file))
    with engine.connect() as connection:
        yield stored_file, connection
    engine.dispose()


def prices(connection: sa.Connection, rows: int = 10_000) -> list[float]:
    table = sa.table(HOT, sa.column("mid_price", sa.REAL()), sa.column("id", sa.INTEGER()))
    query = sa.select(table.c.mid_price).order_by(table.c.id)
    return [price for chunk in chunks(connection, query, rows) for price in chunk["mid_price"].tolist()]


def change(connection: sa.Connection, sql: str) -> None:
    with connection.begin():
        connection.exec_driver_sql(sql)


def test_what_is_committed_while_it_reads_is_not_seen(live: tuple[str, sa.Connection]) -> None:
    path, writer = live
    with started(path) as child:
        for expected in (COUNT, 3):
            with reading_beside(child, path, HOT) as (connection, _):
                change(writer, f"DELETE FROM {HOT} WHERE mid_price > 3")
                change(writer, f"UPDATE {HOT} SET depth = depth + 1")
                assert len(prices(connection)) == len(prices(connection, 5)) == expected
        assert child is not None
        assert child.is_free


class Hasty(Reader):
    """A child beside which something is committed whenever it has looked, so many times."""

    commit: Callable[[], None]
    times = 0

    def look(self) -> None:
        super().look()
        if type(self).times:
            type(self).times -= 1
            type(self).commit()


@pytest.mark.parametrize(("times", "told"), [(3, []), (10**6, ["read.no_quiet_moment"])])
def test_a_commit_between_two_beginnings_is_noticed(
    live: tuple[str, sa.Connection], times: int, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, writer = live
    asked: list[bool] = []

    class Counted(Hasty):
        commit = staticmethod(lambda: change(writer, f"UPDATE {HOT} SET depth = depth + 1"))

        def rows(self, *question: object) -> Iterator[object]:  # type: ignore[override]
            asked.append(True)
            return super().rows(*question)  # type: ignore[arg-type]

    monkeypatch.setattr(Hasty, "times", times)
    monkeypatch.setattr(engines, "Reader", Counted)
    monkeypatch.setattr(engines, "_TRIES", 6)
    with capture_logs() as logs:
        assert len(load_features(path, SYMBOL, engine="arrow")) == COUNT
    assert [line["event"] for line in logs] == told
    assert asked == ([] if told else [True])


def test_another_file_in_its_place_is_noticed(live: tuple[str, sa.Connection], tmp_path: Path) -> None:
    path, _ = live
    with started(path) as child:
        assert child is not None
        child.look()
        assert child.begin()
        child.end()
        (tmp_path / "another").write_bytes(Path(path).read_bytes())
        (tmp_path / "another").rename(path)
        child.look()
        assert not child.begin()


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
        assert len(before) > 1  # on the file, and on the log
        assert len(load_features(path, SYMBOL, engine="arrow")) == COUNT
        assert locks(path) == before
        other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        done = subprocess.run(
            [sys.executable, "-c", other, path], capture_output=True, text=True, check=False
        )
        assert "database is locked" in done.stderr
    assert len(load_features(path, SYMBOL, engine="arrow")) == 3


def test_an_interrupt_at_the_terminal_is_the_parents(live: tuple[str, sa.Connection]) -> None:
    path, _ = live
    with started(path) as child, reading_beside(child, path, HOT) as (connection, _tables):
        assert child is not None
        os.kill(child.pid, signal.SIGINT)
        assert len(prices(connection)) == COUNT
        assert child.is_free


def test_no_second_library_comes_into_the_process(live: tuple[str, sa.Connection]) -> None:
    path, _ = live
    code = (
        "import sys; from collector.database import use_newest_sqlite; use_newest_sqlite();"
        "from collector import load_features;"
        "print(len(load_features(sys.argv[1], sys.argv[2], engine='arrow')));"
        "print([one for one in sys.modules if one.startswith('adbc')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, SYMBOL], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-2:] == [str(COUNT), "[]"]
