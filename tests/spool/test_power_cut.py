"""Simulated power cuts lose no committed batch, of the database or of the spool, and harm no file."""

import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))
from power import Disk

sys.path.insert(0, str(Path(__file__).parents[1]))
from one_segment import make_write_set
from ready_tables import lay_tables

from collector.sinks.sql.sink import SqlSink
from collector.spool import tables as spool_tables
from collector.spool.file import SpoolFile

BATCHES = 30
CUTS = [60, pytest.param(300, marks=pytest.mark.proof)]
SETTINGS = ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "wal_autocheckpoint = 20")


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk("remembers")
    yield made
    made.unregister()


def cut(
    disk: Disk, marks: list[int], folder: Path, cuts: int, base: dict[str, bytes], question: str
) -> tuple[int, int]:
    """Cut the power so often; return how many cuts lost a committed batch, and how many damaged the file."""
    draw = random.Random(20_261_121)
    lost = damaged = 0
    for number in range(cuts):
        image = folder / f"cut-{number}"
        image.mkdir()
        moment = draw.randint(marks[0], len(disk.log))
        disk.after_a_cut(image, moment, draw, base)
        with closing(sqlite3.connect(image / "file")) as connection:
            try:
                sound = connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                found = {text for (text,) in connection.execute(question)}
            except sqlite3.DatabaseError:
                sound, found = False, set()
        damaged += not sound
        committed = {f"batch-{batch}" for batch, mark in enumerate(marks[1:]) if mark <= moment}
        lost += not committed <= found
    return lost, damaged


def statements(url: str) -> list[list[str]]:
    """Return what the sink sends for each batch, up to its COMMIT, with the values in it."""
    sink = SqlSink(url)
    sink.open()
    sent: list[list[str]] = []

    def listen(connection: sa.Connection) -> int:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(lambda text: sent[-1].append(text) if sent and text != "COMMIT" else None)
        return 0

    sink.maintain(listen)
    for number in range(BATCHES):
        sent.append([])
        sink.write(make_write_set(f"batch-{number}", 20))
    sink.close()
    return sent


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("synchronous", ["FULL", "OFF"])
def test_what_the_sink_commits_survives(tmp_path: Path, disk: Disk, synchronous: str, cuts: int) -> None:
    empty = tmp_path / "empty.db"
    sink = SqlSink(lay_tables(str(empty)))
    sink.open()
    sink.close()
    base = {"file": empty.read_bytes()}
    batches = statements(str(empty))
    (tmp_path / "file").write_bytes(base["file"])
    connection = apsw.Connection(str(tmp_path / "file"), vfs=disk.name)
    for setting in (*SETTINGS, f"synchronous = {synchronous}"):
        list(connection.execute(f"PRAGMA {setting}"))
    marks = [len(disk.log)]
    for batch in batches:
        for text in batch:
            list(connection.execute(text))
        connection.execute("COMMIT")
        marks.append(len(disk.log))
    connection.close(True)
    lost, damaged = cut(disk, marks, tmp_path, cuts, base, "SELECT batch_id FROM collector_batches")
    if synchronous == "FULL":
        assert (lost, damaged) == (0, 0)
    else:
        assert lost > cuts // 10  # the dice do find what is not synced


class Library:
    """What the spool needs of a SQLite library, on a disk that remembers."""

    Error, DatabaseError, OperationalError = apsw.Error, apsw.NotADBError, apsw.BusyError

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def connect(self, path: Path, **_: object) -> "Connected":
        return Connected(str(path), vfs=self._disk.name)


class Connected(apsw.Connection):  # type: ignore[misc]
    """A connection that the spool takes for one of sqlite3's."""

    def executescript(self, text: str) -> None:
        list(self.execute(text))


@pytest.mark.parametrize("cuts", CUTS)
def test_what_the_spool_keeps_survives(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, cuts: int
) -> None:
    monkeypatch.setattr(spool_tables, "sqlite_library", lambda: Library(disk))
    monkeypatch.setattr(spool_tables, "_LOG_PAGES", 20)
    spool = SpoolFile(tmp_path / "file", max_bytes=1 << 24)
    spool.open()
    marks = [len(disk.log)]
    for number in range(BATCHES):
        spool.append(number + 1, make_write_set(f"batch-{number}", 50))
        marks.append(len(disk.log))
    lost, damaged = cut(disk, marks, tmp_path, cuts, {}, "SELECT batch_id FROM spool")
    assert (lost, damaged) == (0, 0)
    spool.close()
