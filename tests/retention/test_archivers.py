"""Several processes archive one database, and several tables stand in it: each row is kept once."""

import itertools
import queue
import sys
import threading
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from collector import load_features
from collector.database.engine import make_engine
from collector.database.url import database_url
from collector.errors import CollectorError, DatabaseInUse, UserError
from collector.export.exporter import export
from collector.retention import one_archiver
from collector.retention.move import Retention, archive_slices
from collector.retention.stopping import Stop
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
from archiving import FIRST, MIDNIGHT_NS, NOW, TABLE, ask, fill_days, left, slices_of, work

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, Row, Stored, iso, write

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

pytest.importorskip("pyarrow")
OTHER = "other_books"
COPIED = "timestamp, symbol, exchange, mid_price, sequence, data_source, received_at_ns, segment_id, depth"


@pytest.fixture
def filled(any_database: str) -> str:
    return fill_days(any_database)


def work_in_turn(url: str, *runs: Generator[Any, None, None]) -> None:
    """Do a slice of each in turn, as processes might; what stops one does not stop the others."""
    engine = make_engine(database_url(url), synchronous="OFF")
    running = list(runs)
    while running:
        for one in list(running):
            try:
                with engine.connect() as connection:
                    next(one)(connection)
            except (StopIteration, CollectorError):
                one.close()
                running.remove(one)
    engine.dispose()


def test_of_two_that_archive_a_server_at_once_one_is_told_and_nothing_doubles(
    postgres_url: str, tmp_path: Path
) -> None:
    fill_days(postgres_url)
    before = load_features(postgres_url, SYMBOL)
    first, second = (slices_of(postgres_url, tmp_path / name) for name in ("a", "b"))
    work_in_turn(postgres_url, first, second)
    after = load_features(postgres_url, SYMBOL)
    assert len(after) == len(before)
    assert not after.index.has_duplicates
    assert not (tmp_path / "b").exists()


def test_who_archives_already_is_named(postgres_url: str, tmp_path: Path) -> None:
    fill_days(postgres_url)
    first = slices_of(postgres_url, tmp_path / "a")
    next(first)
    with pytest.raises(DatabaseInUse, match=r"moved to files already, by collector archive \d+@"):
        next(slices_of(postgres_url, tmp_path / "b"))
    first.close()
    assert work(postgres_url, slices_of(postgres_url, tmp_path / "b")) > 0  # the lock is free again


def test_who_comes_when_one_has_just_ended_is_not_refused(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server notices a moment later only that a connection was closed: the lock is given back before."""
    dispose, held = sa.Engine.dispose, list[int]()

    def close(engine: sa.Engine) -> None:
        here = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        query = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = {here}"
        other = make_engine(database_url(postgres_url))
        with other.connect() as connection:
            held.append(connection.exec_driver_sql(query).scalar_one())
        dispose(other)
        dispose(engine)

    monkeypatch.setattr(sa.Engine, "dispose", close)
    with one_archiver.only_archiver(postgres_url, Stop()):
        pass
    assert held == [0]


def test_even_without_the_lock_a_day_is_recorded_once(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock lives as long as its connection, which may break: the record itself looks."""
    free = "SELECT CAST(:lock AS bigint) > 0"
    monkeypatch.setattr(one_archiver, "_TRY_LOCK", sa.text(free))
    before = load_features(filled, SYMBOL)
    for _ in range(2):  # what stopped one in the first round is done in the second
        work_in_turn(filled, *(slices_of(filled, tmp_path / name) for name in ("a", "b")))
    after = load_features(filled, SYMBOL)
    assert (len(after), after.index.has_duplicates) == (len(before), False)
    assert ask(filled, "SELECT count(*) FROM collector_archive WHERE deleted_ns IS NULL") == 0


@pytest.mark.parametrize("any_database", ["postgresql"], indirect=True)
def test_a_file_that_two_have_written_alike_stays_for_the_one_who_recorded_it(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second lost its lock with its connection, and took the first one's file for a former run's."""
    monkeypatch.setattr(one_archiver, "_TRY_LOCK", sa.text("SELECT CAST(:lock AS bigint) > 0"))
    before = load_features(filled, SYMBOL)
    first, second = (slices_of(filled, tmp_path) for _ in range(2))
    engine = make_engine(database_url(filled))
    with engine.connect() as connection:
        for claim in [next(first), next(second)]:  # both have written before one records
            claim(connection)
    engine.dispose()
    for one in (second, first):
        with suppress(UserError):  # that the other has moved the day already
            work(filled, one)
    listed = set(map(str, tmp_path.rglob("*.parquet")))
    assert ask(filled, "SELECT count(*) FROM collector_archive") == len(listed) == 3
    assert len(load_features(filled, SYMBOL)) == len(before)


def test_a_row_that_another_writer_commits_late_under_an_older_id_is_kept(
    postgres_url: str, tmp_path: Path
) -> None:
    """Ids are taken in another order than that of the commits."""
    fill_days(postgres_url)
    before = len(load_features(postgres_url, SYMBOL))
    engine = make_engine(database_url(postgres_url))
    values = (
        f"'{iso(MIDNIGHT_NS + 5)}', '{SYMBOL}', 'bybit', -1.0, {MIDNIGHT_NS + 5}, {FIRST}, 50, 'simulator'"
    )
    columns = "timestamp, symbol, exchange, mid_price, received_at_ns, segment_id, depth, data_source"
    slices, ready = slices_of(postgres_url, tmp_path), queue.SimpleQueue()
    with engine.connect() as connection:
        connection.execute(sa.text(f"INSERT INTO {TABLE} ({columns}) VALUES ({values})"))
        write(postgres_url, Stored([Row(MIDNIGHT_NS + 9, FIRST, -2.0)]))  # a higher id, committed at once
        begun = threading.Thread(target=lambda: ready.put(next(slices)))
        begun.start()
        begun.join(0.5)  # time enough to list days and to write a file, if it did so beside a transaction
        connection.commit()
    begun.join(60)
    work(postgres_url, itertools.chain([ready.get(timeout=1)], slices))
    engine.dispose()
    frame = load_features(postgres_url, SYMBOL)
    assert len(frame) == before + 2
    assert sorted(frame["mid_price"])[:2] == [-2.0, -1.0]


def test_a_table_that_is_written_to_without_end_is_left_and_the_others_are_not(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_days(postgres_url)
    monkeypatch.setattr(one_archiver, "_PATIENCE_S", 0.2)
    engine = make_engine(database_url(postgres_url))
    count = left(postgres_url)
    with engine.connect() as connection:
        connection.execute(sa.text(f"INSERT INTO {TABLE} (timestamp, symbol) VALUES ('x', 'y')"))
        with pytest.raises(
            CollectorError, match=r"the features cannot be listed: .*server process \d+ has been"
        ):
            work(postgres_url, slices_of(postgres_url, tmp_path))
    engine.dispose()
    assert left(postgres_url) == count


def other_table(url: str) -> None:
    """Make a second book table in the same database, with the same rows of other prices."""
    sink = SqlSink(url, OTHER, auto_migrate=True)
    sink.open()
    sink.close()
    copied = COPIED.replace("mid_price", "1e6 + mid_price")
    ask(url, f"INSERT INTO {OTHER} ({COPIED}) SELECT {copied} FROM {TABLE}")


@in_a_file
def test_a_run_for_one_table_leaves_what_another_has_begun(filled: str, tmp_path: Path) -> None:
    other_table(filled)
    own, others = load_features(filled, SYMBOL), load_features(filled, SYMBOL, table_name=OTHER)
    work(filled, slices_of(filled, tmp_path), at_most=1)  # recorded, not deleted
    work(filled, slices_of(filled, tmp_path, table=OTHER))
    assert left(filled) == 121
    assert load_features(filled, SYMBOL)["mid_price"].tolist() == own["mid_price"].tolist()
    found = load_features(filled, SYMBOL, table_name=OTHER)
    assert found["mid_price"].tolist() == others["mid_price"].tolist()
    work(filled, slices_of(filled, tmp_path))
    assert load_features(filled, SYMBOL)["mid_price"].tolist() == own["mid_price"].tolist()
    assert left(filled) < 121


@in_a_file
def test_two_tables_archive_to_one_folder_and_exports_hold_their_own(filled: str, tmp_path: Path) -> None:
    """Both count their ids from one: nothing may stand under one name."""
    other_table(filled)
    for table in (TABLE, OTHER):
        work(filled, slices_of(filled, tmp_path / "archive", table=table))
    rows = export(filled, tmp_path / "out", kinds=("features",)).rows
    assert rows == export(filled, tmp_path / "other", kinds=("features",), table_name=OTHER).rows == 121
    assert load_features(filled, SYMBOL, table_name=OTHER)["mid_price"].min() >= 1e6


@in_a_file
def test_an_unfinished_day_whose_file_is_elsewhere_is_done_again(filled: str, tmp_path: Path) -> None:
    """Another host has recorded it and died: no row is gone yet, and it is moved to another file."""
    before = load_features(filled, SYMBOL)
    work(filled, slices_of(filled, tmp_path / "a"), at_most=1)
    (tmp_path / "a").rename(tmp_path / "on another host")
    with capture_logs() as logs:
        moved = work(filled, slices_of(filled, tmp_path / "b"))
    assert moved == 121 - left(filled) > 0
    assert [entry["event"] for entry in logs if "taken_back" in entry["event"]] == ["archive.taken_back"]
    assert load_features(filled, SYMBOL)["mid_price"].tolist() == before["mid_price"].tolist()


@in_a_file
def test_one_whose_rows_are_partly_gone_is_left_and_told_and_other_days_are_moved(
    filled: str, tmp_path: Path
) -> None:
    before = load_features(filled, SYMBOL)
    work(filled, slices_of(filled, tmp_path / "a"), at_most=3)  # two files of the first day, and one slice
    assert left(filled) == 111
    (tmp_path / "a").rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(
            CollectorError, match=r"cannot be read .*only \d+ of its \d+ rows are in the table"
        ):
            work(filled, slices_of(filled, tmp_path / "b"))
    assert left(filled) < 90  # the second day
    (tmp_path / "away").rename(tmp_path / "a")
    assert work(filled, slices_of(filled, tmp_path / "b")) > 0
    assert load_features(filled, SYMBOL)["mid_price"].tolist() == before["mid_price"].tolist()


@in_a_file
def test_an_archiver_whose_record_was_taken_back_deletes_nothing(filled: str, tmp_path: Path) -> None:
    slices = slices_of(filled, tmp_path / "a")
    work(filled, slices, at_most=0)
    slices = archive_slices(filled, TABLE, Retention(2.0, tmp_path / "a", slice_rows=10), lambda: NOW)
    engine = make_engine(database_url(filled), synchronous="OFF")
    with engine.connect() as connection:
        for _ in range(2):
            next(slices)(connection)
        connection.execute(sa.text("DELETE FROM collector_archive"))
        connection.commit()
        with pytest.raises(CollectorError, match="nothing is deleted"):
            next(slices)(connection)
    slices.close()
    engine.dispose()
    assert left(filled) == 121
