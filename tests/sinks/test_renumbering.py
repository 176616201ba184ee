"""A segment in which rows were given up goes on under a new number: under which one, coverage tells."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.events.batch import StreamKey
from collector.sinks.contract import Rows, SegmentState, SessionState, WriteSet
from collector.sinks.sql.renumbering import _all_renumbered
from collector.sinks.sql.sink import SqlSink

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
        self._sink = SqlSink(str(path), auto_migrate=True, synchronous="OFF")
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


def test_of_a_new_segment_in_several_blocks_the_first_row_alone_has_no_order_flow() -> None:
    """A write set that was joined from several has a block of each for a table."""
    numbers = {BEFORE: AFTER, BROKEN: BROKEN}
    blocks = [
        Rows("levels", {"segment_id": [BEFORE], "level": [1]}),
        Rows("book", {"segment_id": [BEFORE, BROKEN, BEFORE], "ofi": [0.5, 1.5, 2.5]}),
        Rows("book", {"segment_id": [BEFORE, BROKEN], "ofi": [3.5, 4.5]}),
    ]
    found = list(_all_renumbered(blocks, numbers, begun={BROKEN}))
    assert [rows.columns["segment_id"] for rows in found] == [
        [AFTER],
        [AFTER, BROKEN, AFTER],
        [AFTER, BROKEN],
    ]
    assert [rows.columns["ofi"] for rows in found[1:]] == [[None, 1.5, 2.5], [3.5, 4.5]]
