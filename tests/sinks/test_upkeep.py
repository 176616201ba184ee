"""Slices of housekeeping on both databases: what is old goes, what may still be needed stays."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.sinks.contract import WriteSet
from collector.sinks.sql import upkeep
from collector.sinks.sql.sink import SqlSink
from collector.sinks.sql.upkeep import LAST_OF_A_SESSION_NS, Slice

TABLES = make_tables(DEFAULT_TABLE_NAME)
MINUTE_NS = 60 * 10**9


@pytest.fixture
def sink(any_database: str, open_sink: Callable[..., SqlSink]) -> SqlSink:
    return open_sink(any_database)


def fill(sink: SqlSink, table: sa.Table, **columns: list[object]) -> None:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    sink.maintain(lambda connection: connection.execute(sa.insert(table), rows).rowcount)


def kept(sink: SqlSink, column: sa.Column[object]) -> list[object]:
    found: list[object] = []
    sink.maintain(
        lambda connection: found.extend(connection.execute(sa.select(column).order_by(column)).scalars()) or 0
    )
    return found


def run(sink: SqlSink, slices: Iterator[Slice]) -> list[int]:
    return [sink.maintain(one) for one in slices]


def add_sessions(sink: SqlSink, **ended_ns: int | None) -> None:
    count = len(ended_ns)
    fill(
        sink,
        TABLES.sessions,
        session_id=list(ended_ns),
        ended_ns=list(ended_ns.values()),
        started_ns=[0] * count,
        version=["0"] * count,
        host=["h"] * count,
        pid=[1] * count,
        wanted=["{}"] * count,
    )


def add_batches(sink: SqlSink, session: str, committed_ns: list[int], prefix: str) -> None:
    count = len(committed_ns)
    fill(
        sink,
        TABLES.batches,
        batch_id=[f"{prefix}{number:05}" for number in range(count)],
        session_id=[session] * count,
        committed_ns=list(committed_ns),
        rows=[1] * count,
    )


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("name", ["events", "rejected"])
def test_what_is_old_goes_slice_by_slice_and_the_rest_stays(sink: SqlSink, name: str, rows: int) -> None:
    table = getattr(TABLES, name)
    fill(sink, table, at_ns=[*range(20), None, 5], session_id=["s"] * 22)
    prune = upkeep.prune_events if name == "events" else upkeep.prune_rejected
    gone = run(sink, prune(TABLES, 15, rows))
    assert sum(gone) in {15, 17}  # one slice beyond the first that is new is not looked at
    assert max(gone) <= rows
    assert [at_ns for at_ns in kept(sink, table.c.at_ns) if at_ns is not None and at_ns != 5] == [
        *range(15, 20)
    ]
    assert sum(run(sink, prune(TABLES, 15, rows))) == 0


@pytest.mark.parametrize("rows", [1, 4, 1000])
def test_batches_that_may_still_be_in_a_spool_are_never_forgotten(sink: SqlSink, rows: int) -> None:
    end_ns = 1000 * MINUTE_NS
    add_sessions(sink, ended=end_ns, running=None, own=None)
    add_batches(
        sink, "ended", [1, end_ns - LAST_OF_A_SESSION_NS - 1, end_ns - LAST_OF_A_SESSION_NS, end_ns], "a"
    )
    add_batches(sink, "running", [1, 2], "b")
    add_batches(sink, "own", [1, end_ns, end_ns + 5 * MINUTE_NS], "c")
    add_batches(sink, "nobody", [1], "d")
    gone = run(sink, upkeep.prune_batches(TABLES, end_ns + MINUTE_NS, "own", rows))
    assert kept(sink, TABLES.batches.c.batch_id) == [
        "a00002",
        "a00003",
        "b00000",
        "b00001",
        "c00002",
        "d00000",
    ]
    assert sum(gone) == 4
    assert max(gone) <= rows


def test_a_batch_committed_late_does_not_hold_up_the_others(sink: SqlSink) -> None:
    add_sessions(sink, own=None)
    add_batches(sink, "own", [1, 1, 99, 1, 1], "a")
    assert run(sink, upkeep.prune_batches(TABLES, 50, "own", 3)) == [2, 2]
    assert kept(sink, TABLES.batches.c.batch_id) == ["a00002"]


def test_a_pruned_ledger_still_knows_what_came_since(
    sink: SqlSink, make_batch: Callable[..., WriteSet]
) -> None:
    sink.write(make_batch("b1"))
    sink.write(make_batch("b2"))
    assert run(sink, upkeep.prune_batches(TABLES, 0, "session-1", 10)) == [0]
    assert sink.write(make_batch("b1")).repeated


@pytest.fixture
def live(tmp_path: Path, open_sink: Callable[..., SqlSink]) -> tuple[SqlSink, Path]:
    path = tmp_path / "live.db"
    return open_sink(str(path)), path


def test_a_long_log_is_emptied_and_one_that_is_read_is_left_alone(
    live: tuple[SqlSink, Path], make_batch: Callable[..., WriteSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, path = live
    monkeypatch.setattr(upkeep, "_LOG_PAGES", 10)
    log = Path(f"{path}-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM l2_training_data_practical").fetchone()
        sink.write(make_batch("b1", 2_000))
        assert sink.maintain(upkeep.empty_log) > 10
        assert log.stat().st_size > 0
        reader.execute("ROLLBACK")
    sink.write(make_batch("b2"))
    sink.maintain(upkeep.empty_log)
    assert log.stat().st_size == 0
    assert not sink.write(make_batch("b3")).repeated
    with sink._database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 5_000


def test_tidying_gives_the_planner_statistics_and_frees_pages(
    live: tuple[SqlSink, Path], make_batch: Callable[..., WriteSet]
) -> None:
    sink, path = live
    sink.write(make_batch("b1", 5_000))
    sink.maintain(
        lambda connection: connection.exec_driver_sql("DELETE FROM l2_training_data_practical").rowcount
    )
    gone = run(sink, upkeep.tidy_sqlite(TABLES, 80))
    assert max(gone[2:]) == 10  # a slice is no single page, and not all
    assert sum(gone[2:]) > 100
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM sqlite_stat1").fetchone() > (0,)


def test_pages_that_are_soon_filled_again_stay_free_up_to_as_many_as_are_in_use(
    live: tuple[SqlSink, Path], make_batch: Callable[..., WriteSet]
) -> None:
    sink, path = live
    for number in range(6):
        sink.write(make_batch(f"b{number}", 3_000))
    for part, is_over in ((3, False), (3, True)):
        text = f"DELETE FROM l2_training_data_practical WHERE id % {part} > 0 OR {is_over:d}"
        sink.maintain(lambda connection, text=text: connection.exec_driver_sql(text).rowcount)
        run(sink, upkeep.tidy_sqlite(TABLES, 2_000, refilled=True))
        with closing(sqlite3.connect(path)) as connection:
            ((free,), (pages,)) = (
                connection.execute(f"PRAGMA {one}").fetchone() for one in ("freelist_count", "page_count")
            )
        assert 0 < free <= pages - free + 1


def test_of_a_file_that_others_made_no_page_is_freed(
    tmp_path: Path, open_sink: Callable[..., SqlSink], make_batch: Callable[..., WriteSet]
) -> None:
    with closing(sqlite3.connect(tmp_path / "live.db")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    sink = open_sink(str(tmp_path / "live.db"))
    sink.write(make_batch("b1", 5_000))
    sink.maintain(
        lambda connection: connection.exec_driver_sql("DELETE FROM l2_training_data_practical").rowcount
    )
    assert run(sink, upkeep.tidy_sqlite(TABLES, 20))[2:] == [0]
