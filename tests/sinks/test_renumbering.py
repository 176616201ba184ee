"""A segment in which rows were given up goes on under a new number: under which one, coverage tells."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.events.batch import StreamKey
from collector.sinks.contract import SegmentState, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parents[1]))
from one_segment import make_write_set
from ready_tables import lay_tables

BTC = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
BEFORE, BROKEN, REST, AFTER = range(2**62 + 1, 2**62 + 5)
SESSION = SessionState("one", 1, "0", "host", 1, "{}")


def state(
    segment: int, start_ns: int, end_ns: int, cause: str | None = None, *, rows: int = 1
) -> SegmentState:
    return SegmentState(
        segment, "one", *BTC, start_ns, end_ns, end_ns, start_ns, end_ns, rows, "sequence", cause
    )


def open_or(cause: str, is_adopted: bool) -> str | None:
    """Return how a segment ends that has no end yet: one of a session that was killed has one at once."""
    return cause if is_adopted else None


class Sink:
    """A sink, and what coverage holds."""

    def __init__(self, path: Path) -> None:
        self._sink = SqlSink(lay_tables(str(path)), auto_migrate=True, synchronous="OFF")
        self._sink.open()
        self._sink.claim(SESSION, [BTC])
        self._batches = 0

    def write(self, *states: SegmentState) -> None:
        self._batches += 1
        self._sink.write(WriteSet(f"b{self._batches}", SESSION, (), states))

    def coverage(self) -> list[tuple[int, int, int, int, str | None]]:
        coverage = self._sink._tables.coverage.c
        query = sa.select(
            coverage.segment_id, coverage.start_ns, coverage.end_ns, coverage.rows, coverage.end_cause
        )
        with self._sink._connected() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(coverage.start_ns))]

    def close(self) -> None:
        self._sink.close()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    one = Sink(tmp_path / "live.db")
    yield one
    one.close()


@pytest.mark.parametrize("is_adopted", [False, True])
def test_rows_after_a_hole_go_on_where_those_behind_the_hole_do_though_others_have_no_end_yet(
    sink: Sink, is_adopted: bool
) -> None:
    """Of a batch in several transactions the last one tells what has ended."""
    no_end = open_or("crash", is_adopted)
    sink.write(state(BEFORE, 10, 19, no_end), state(BROKEN, 20, 21, no_end))
    sink.write(state(BROKEN, 22, 23, "poison"), state(REST, 26, 27, no_end))
    sink.write(state(BROKEN, 28, 29, no_end), state(AFTER, 40, 41, no_end))
    sink.write(
        state(BEFORE, 10, 19, "disconnect", rows=0),
        state(BROKEN, 28, 29, "stale", rows=0),
        state(AFTER, 42, 43, no_end),
    )
    assert sink.coverage() == [
        (BEFORE, 10, 19, 1, "disconnect"),
        (BROKEN, 20, 23, 2, "poison"),
        (REST, 26, 29, 2, "stale"),
        (AFTER, 40, 43, 2, no_end),
    ]


@pytest.mark.parametrize("is_adopted", [False, True])
def test_the_end_of_a_segment_with_nothing_behind_its_hole_ends_no_other(
    sink: Sink, is_adopted: bool
) -> None:
    no_end = open_or("crash", is_adopted)
    sink.write(state(BEFORE, 10, 19, no_end), state(BROKEN, 20, 21, no_end))
    sink.write(state(BROKEN, 22, 23, "poison"))
    sink.write(state(AFTER, 40, 41, no_end))
    sink.write(state(BEFORE, 10, 19, "disconnect", rows=0), state(BROKEN, 28, 29, "stale", rows=0))
    assert sink.coverage() == [
        (BEFORE, 10, 19, 1, "disconnect"),
        (BROKEN, 20, 23, 2, "poison"),
        (AFTER, 40, 41, 1, no_end),
    ]


def test_a_segment_that_begins_in_two_tables_of_one_write_set_has_one_first_row(tmp_path: Path) -> None:
    """Two write sets that went out as one, and are written by another process than their own."""
    first = make_write_set("b1", 3, ofi=[None, 1.0, 2.0])
    second = make_write_set("b1", 2, ofi=[3.0, 4.0], received_at_ns=[103, 104])
    path = tmp_path / "live.db"
    sink = SqlSink(lay_tables(str(path)), auto_migrate=True, synchronous="OFF")
    sink.open()
    sink.claim(SESSION, [])
    sink.write(replace(first, rows=(*first.rows, *second.rows)))
    sink.write(replace(second, batch_id="b2", rows=(make_write_set("b2", 1, ofi=[5.0]).rows)))
    sink.close()
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT ofi FROM l2_training_data_practical ORDER BY id").fetchall()
    assert [ofi for (ofi,) in found] == [None, 1.0, 2.0, 3.0, 4.0, 5.0]
