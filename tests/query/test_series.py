"""Rows of one stream, chunk after chunk: each once and in order, also where something else wrote some."""

import sys
from pathlib import Path

import pytest

from collector.query.database import reading
from collector.query.instants import Span
from collector.query.rows import raw_rows
from collector.query.rows.columns import joined
from collector.query.rows.series import Series
from collector.query.rows.stored_stream import find_stream

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, STEP_NS, SYMBOL, Row, Stored, write

NAMES = ("received_at_ns", "segment_id", "mid_price")


def read(path: str, span: Span, chunk_rows: int) -> list[float]:
    with reading(path) as (connection, known):
        stream = find_stream(connection, known.hot, SYMBOL, None, span, {"depth": None})
        rows = joined(list(Series(stream, NAMES).read(connection, span, chunk_rows)))
    return list(rows["mid_price"].tolist())


@pytest.mark.parametrize("foreign", [None, 0, 2, 3, 5, 6])
def test_every_row_comes_once_and_in_order_whoever_wrote_it(stored_file: str, foreign: int | None) -> None:
    rows = [
        Row(START_NS + place * STEP_NS, None if place == foreign else 1, float(place + 1))
        for place in range(7)
    ]
    write(stored_file, Stored(rows))
    for chunk_rows in (1, 2, 3, 100):
        assert read(stored_file, Span(), chunk_rows) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
        assert read(stored_file, Span(rows[1].at_ns, rows[5].at_ns), chunk_rows) == [2.0, 3.0, 4.0, 5.0]


def test_a_reading_that_is_left_in_the_middle_can_be_closed_when_its_database_is(stored_file: str) -> None:
    write(stored_file, Stored([Row(START_NS + place * STEP_NS, 1, 1.0) for place in range(7)]))
    with reading(stored_file) as (connection, known):
        stream = find_stream(connection, known.hot, SYMBOL, None, Span(), {"depth": None})
        rows = raw_rows.chunks(connection, stream.between(None, None).with_only_columns(known.hot.c.id), 2)
        assert list(next(rows)["id"]) == [1, 2]
    rows.close()
