"""What stands in the way of one day, and a stop, cost no row and no other day."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from collector import load_features
from collector.errors import UserError
from collector.export import day_rows
from collector.export.exporter import export
from collector.retention import day_archive
from collector.retention.move import Retention, archive_slices
from collector.retention.stopping import Stop, Stopped

sys.path.insert(0, str(Path(__file__).parent))
from archiving import MIDNIGHT_NS, NOW, TABLE, ask, fill_days, left, slices_of, work

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, Row, Stored, iso, write

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

pytest.importorskip("pyarrow")
ENDLESS = {
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n",
    "postgresql": "SELECT pg_sleep(3600)",
}
PATIENCE_S = 60.0


@pytest.fixture
def filled(any_database: str) -> str:
    return fill_days(any_database)


def foreign(url: str, *timestamps: str) -> None:
    values = ", ".join(f"('{one}', '{SYMBOL}', 'bybit', 'simulator')" for one in timestamps)
    ask(url, f"INSERT INTO {TABLE} (timestamp, symbol, exchange, data_source) VALUES {values}")


@in_a_file
def test_rows_without_a_date_block_neither_archive_nor_export(filled: str, tmp_path: Path) -> None:
    foreign(filled, "yesterday", "", "1700000000", "2023-11-15", "20231116", "2023-02-31 12:00")
    ask(filled, f"DELETE FROM {TABLE} WHERE timestamp = '2023-11-15'")
    with capture_logs() as logs:
        assert work(filled, slices_of(filled, tmp_path / "archive")) > 0
    told = [entry for entry in logs if entry["event"] == "rows.without_a_date"]
    assert {entry.get("rows") for entry in told} >= {3}
    assert {entry.get("timestamp") for entry in told} >= {"2023-02-31 12:00"}
    assert export(filled, tmp_path / "out", kinds=("features",)).rows == 121


@in_a_file
def test_one_day_that_cannot_be_read_is_told_and_the_others_move(filled: str, tmp_path: Path) -> None:
    foreign(filled, iso(MIDNIGHT_NS)[:10] + " and a bit")
    count = left(filled)
    with (
        capture_logs() as logs,
        pytest.raises(UserError, match=r"not everything could be moved.*BTC/USDT:USDT"),
    ):
        work(filled, slices_of(filled, tmp_path))
    (told,) = [entry["problem"] for entry in logs if entry["event"] == "archive.day_left"]
    assert iso(MIDNIGHT_NS)[:10] in told
    assert ask(filled, "SELECT count(*) FROM collector_archive WHERE deleted_ns IS NOT NULL") == 2
    assert left(filled) < count


def test_a_full_disk_ends_the_run_at_once(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def refuse(*_: Any, **__: Any) -> None:
        tries.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(day_archive, "write_day", refuse)
    with pytest.raises(OSError, match="No space"):
        work(filled, slices_of(filled, tmp_path))
    assert len(tries) == 1
    assert left(filled) == 121


@in_a_file
def test_a_file_that_was_changed_is_not_trusted(filled: str, tmp_path: Path) -> None:
    work(filled, slices_of(filled, tmp_path / "a"), at_most=1)
    path = next((tmp_path / "a").rglob("*BTC*/*/*.parquet"))
    path.write_bytes(b"something else")
    before = load_features(filled, SYMBOL, start=MIDNIGHT_NS + 86_400 * 10**9)
    assert work(filled, slices_of(filled, tmp_path / "a")) == 121 - left(filled)
    assert path.read_bytes() == b"something else"  # no file of anybody is overwritten
    assert len(load_features(filled, SYMBOL)) == 120
    assert len(load_features(filled, SYMBOL, start=MIDNIGHT_NS + 86_400 * 10**9)) == len(before)


@in_a_file
def test_a_file_that_was_written_and_not_recorded_is_taken_up(filled: str, tmp_path: Path) -> None:
    slices = slices_of(filled, tmp_path)
    next(slices)
    slices.close()  # the run ends before the writer could record it
    work(filled, slices_of(filled, tmp_path))
    listed = ask(filled, "SELECT count(*) FROM collector_archive")
    assert len(list(tmp_path.rglob("*.parquet"))) == listed == 3


def test_rows_that_change_between_reading_and_recording_are_left_for_next_time(
    filled: str, tmp_path: Path
) -> None:
    slices = slices_of(filled, tmp_path)
    first = next(slices)
    ask(filled, f"DELETE FROM {TABLE} WHERE id = 3")
    work(filled, iter([first]))
    with pytest.raises(UserError, match=r"its rows were changed: the file holds \d+, there are \d+"):
        work(filled, slices)
    assert len(load_features(filled, SYMBOL)) == 119
    assert work(filled, slices_of(filled, tmp_path)) > 0
    assert len(load_features(filled, SYMBOL)) == 119


class StopAfter(Stop):
    """A stop that asks for itself at one of the checks."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self.checks = 0
        self._last = checks

    def check(self) -> None:
        self.checks += 1
        if self.checks == self._last:
            self.ask()
        super().check()


@in_a_file
def test_a_day_is_left_in_the_middle_when_asked_to_stop(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_rows, "CHECKED_ROWS", 3)
    count = load_features(filled, SYMBOL)
    for checks in (1, 4, 9):
        stop = StopAfter(checks)
        slices = archive_slices(filled, TABLE, Retention(2.0, tmp_path, slice_rows=5), lambda: NOW, stop)
        with pytest.raises(Stopped):
            work(filled, slices)
        assert not [one for one in tmp_path.rglob("*") if one.name.endswith(".tmp")]
        assert len(load_features(filled, SYMBOL)) == len(count)
    work(filled, slices_of(filled, tmp_path))
    assert len(load_features(filled, SYMBOL)) == len(count)


def test_a_query_under_way_is_broken_off(any_database: str) -> None:
    fill_days(any_database)
    stop, ended = Stop(), threading.Event()

    def read() -> None:
        with pytest.raises(Stopped), stop.reading(any_database, TABLE) as (connection, _):
            connection.execute(sa.text(ENDLESS[connection.dialect.name])).all()
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    deadline_s = time.monotonic() + PATIENCE_S
    while not ended.wait(0.02) and time.monotonic() < deadline_s:
        stop.ask()
    thread.join(PATIENCE_S)
    assert ended.is_set()
    if "postgresql" in any_database:  # the server ends it as well, within a second or so
        others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        while ask(any_database, f"SELECT count(*) FROM {others}") and time.monotonic() < deadline_s:
            time.sleep(0.05)


@pytest.mark.proof
def test_a_long_day_stops_within_a_second(tmp_path: Path) -> None:
    """On a machine that is not busy; also prints how long it took."""
    url = fill_days(str(tmp_path / "live.db"))
    rows = [Row(MIDNIGHT_NS + place * 1_000_000, 2**62 + 1, 1.0, 0.5) for place in range(500_000)]
    write(url, Stored(rows))
    stop, begun = Stop(), threading.Event()

    def run() -> None:
        begun.set()
        with pytest.raises(Stopped):
            work(url, archive_slices(url, TABLE, Retention(2.0, tmp_path / "a"), lambda: NOW, stop))

    for wait_s in (0.5, 2.0, 4.0, 6.0):
        begun.clear()
        thread = threading.Thread(target=run)
        thread.start()
        begun.wait(PATIENCE_S)
        thread.join(wait_s)
        asked_s = time.monotonic()
        stop.ask()
        thread.join(PATIENCE_S)
        took_s = time.monotonic() - asked_s
        print(f"asked after {wait_s} s, ended {took_s:.2f} s later")
        assert took_s < 1.0
        stop = Stop()
