"""A database put back to an older state under a running collector: coverage shows what is not in it."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.errors import SinkError
from collector.events.batch import StreamKey
from collector.sinks.contract import Rows, SegmentState, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink

BTC = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
SESSION = SessionState("one", 1, "0.1.0", "host", 41, "{}")
COVERAGE = (
    "SELECT start_ns, end_ns, alive_until_ns, rows, end_cause FROM collector_coverage ORDER BY start_ns"
)
ROWS = "SELECT sequence, segment_id, ofi FROM l2_training_data_practical ORDER BY id"


def batch(number: int, segment: int = 7) -> WriteSet:
    """Make two rows of a segment that goes on from batch to batch."""
    at_ns = number * 100
    rows = Rows(
        "book",
        {
            "timestamp": ["t", "t"],
            "symbol": ["s", "s"],
            "sequence": [2 * number, 2 * number + 1],
            "received_at_ns": [at_ns, at_ns + 1],
            "segment_id": [segment, segment],
            "ofi": [0.5, 0.25],
        },
    )
    state = SegmentState(
        segment, "one", *BTC, at_ns, at_ns + 1, at_ns + 2, 2 * number, 2 * number + 1, 2, "sequence"
    )
    return WriteSet(f"b{number}", SESSION, (rows,), (state,))


def write_after_a_change(sink: SqlSink, one: WriteSet) -> None:
    with pytest.raises(SinkError) as caught:
        sink.write(one)
    assert caught.value.transient
    assert not sink.write(one).repeated


def test_a_restored_sqlite_file_shows_the_span_that_it_lacks(
    tmp_path: Path, open_sink: Callable[..., SqlSink]
) -> None:
    path, backup = tmp_path / "live.db", tmp_path / "backup.db"
    sink = open_sink(str(path))
    sink.claim(SESSION, [BTC])
    sink.write(batch(1))
    for number in (2, 5):
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        sink.write(batch(number))  # is not in the copy
        shutil.move(backup, path)
        write_after_a_change(sink, batch(number + 1))
        sink.write(batch(number + 2))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(COVERAGE).fetchall() == [
            (100, 101, 102, 2, "database_replaced"),
            (300, 401, 402, 4, "database_replaced"),
            (600, 701, 702, 4, None),
        ]
        rows = connection.execute(ROWS).fetchall()
        assert connection.execute("SELECT end_cause FROM collector_sessions").fetchall() == [(None,)]
        segments = connection.execute(
            "SELECT segment_id FROM collector_coverage ORDER BY start_ns"
        ).fetchall()
    ids = [one for (one,) in segments]
    assert ids[0] == 7
    assert len(set(ids)) == 3
    assert rows == [
        (2, ids[0], 0.5), (3, ids[0], 0.25),
        (6, ids[1], None), (7, ids[1], 0.25), (8, ids[1], 0.5), (9, ids[1], 0.25),
        (12, ids[2], None), (13, ids[2], 0.25), (14, ids[2], 0.5), (15, ids[2], 0.25),
    ]  # fmt: skip


def test_a_deleted_sqlite_file_begins_anew(tmp_path: Path, open_sink: Callable[..., SqlSink]) -> None:
    path = tmp_path / "live.db"
    sink = open_sink(str(path))
    sink.claim(SESSION, [BTC])
    sink.write(batch(1))
    for found in tmp_path.glob("live.db*"):
        if found.suffix != ".lock":
            found.unlink()
    write_after_a_change(sink, batch(2))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(COVERAGE).fetchall() == [(200, 201, 202, 2, None)]


def test_a_server_put_back_to_an_older_state_shows_the_span_that_it_lacks(
    postgres_url: str, open_sink: Callable[..., SqlSink]
) -> None:
    sink = open_sink(postgres_url)
    sink.claim(SESSION, [BTC])
    sink.write(batch(1))
    sink.write(batch(2))
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)

    def run(*statements: str) -> list[tuple[Any, ...]]:
        with engine.begin() as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    run(
        "DELETE FROM collector_batches WHERE batch_id = 'b2'",
        "DELETE FROM l2_training_data_practical WHERE received_at_ns >= 200",
        "UPDATE collector_coverage SET end_ns = 101, alive_until_ns = 102, last_sequence = 3, rows = 2",
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name LIKE 'collector one%%'",
    )
    write_after_a_change(sink, batch(3))
    sink.write(batch(4))
    assert run(COVERAGE) == [(100, 101, 102, 2, "database_replaced"), (300, 401, 402, 4, None)]
    rows = run(ROWS)
    assert [row[0] for row in rows] == [2, 3, 6, 7, 8, 9]
    assert [row[2] for row in rows] == [0.5, 0.25, None, 0.25, 0.5, 0.25]
    assert [row[1] == 7 for row in rows] == [True, True, False, False, False, False]
    engine.dispose()
