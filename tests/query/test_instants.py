"""Spans, instants and durations as a person writes them."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from collector import load_features
from collector.errors import QueryError
from collector.query.database import reading
from collector.query.instants import (
    DAY_NS,
    Duration,
    Instant,
    Span,
    duration_ns,
    index_of,
    row_count,
    shown,
    text_of,
)
from collector.query.rows.series import Series
from collector.query.rows.stored_stream import find_stream

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, SYMBOL, Row, Stored, write

YEAR_2000_NS = 946_684_800 * 10**9


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span(), [True] * 4),
        (Span(start_ns=11), [False, True, True, True]),
        (Span(end_ns=12), [True, True, False, False]),
        (Span(11, 12), [False, True, False, False]),
        (Span(12, 12), [False] * 4),
    ],
)
def test_a_span_holds_its_start_and_not_its_end(span: Span, expected: list[bool]) -> None:
    assert span.holds(np.array([10, 11, 12, 13])).tolist() == expected


@pytest.mark.parametrize("every", [None, "1ms"])
def test_nothing_at_or_after_the_end_is_loaded(stored_file: str, every: str | None) -> None:
    rows = [Row(START_NS + place * 1_000_000, 1, float(place + 1)) for place in range(5)]
    write(stored_file, Stored(rows, {1: rows[-1].at_ns}))

    def mids(start: int | None, end: int | None) -> list[float]:
        frame = load_features(stored_file, SYMBOL, start=start, end=end, every=every, columns=["mid_price"])
        return list(frame["mid_price"])

    second, fourth = rows[1].at_ns, rows[3].at_ns
    assert mids(second, fourth) == [2.0, 3.0]
    assert mids(second, fourth + 1)[-1] == 4.0
    assert mids(None, second) == [1.0]
    assert mids(fourth, None) == [4.0, 5.0]


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("2000-01-01T00:00:01Z", YEAR_2000_NS + 10**9),
        ("2000-01-01T02:00:00+02:00", YEAR_2000_NS),
        ("2000-01-02", YEAR_2000_NS + DAY_NS),
        ("20000102", YEAR_2000_NS + DAY_NS),
        ("2000/01/02 00:00", YEAR_2000_NS + DAY_NS),
        ("2 January 2000", YEAR_2000_NS + DAY_NS),
        (pd.Timestamp(START_NS + 5, tz="UTC"), START_NS + 5),
        (datetime(2000, 1, 2, tzinfo=UTC), YEAR_2000_NS + DAY_NS),
        (np.datetime64("2000-01-02"), YEAR_2000_NS + DAY_NS),
        (str(START_NS), START_NS),
        (START_NS + 7, START_NS + 7),
        (np.int64(START_NS), START_NS),
        (float(START_NS), START_NS),
        (None, None),
    ],
)
def test_an_instant_may_be_written_in_several_ways(text: Instant, at_ns: int) -> None:
    assert Span.of(text, None) == Span(at_ns, None)
    assert Span.of(None, text) == Span(None, at_ns)


def test_what_is_no_span_is_refused() -> None:
    assert Span.of(START_NS, START_NS) == Span(START_NS, START_NS)
    with pytest.raises(QueryError, match=f"end {START_NS - 1} is before start {START_NS}"):
        Span.of(START_NS, START_NS - 1)
    for wrong in ("yesterday-ish", "NaT"):
        with pytest.raises(QueryError, match=f"end is '{wrong}'; expected an instant"):
            Span.of(None, wrong)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (
            START_NS // 10**9,
            r"start is 1700000000; expected nanoseconds .* seconds since 1970: write pd.Timestamp\(",
        ),
        (START_NS / 1e6, "start is 1700000000000.0; .* looks like milliseconds since 1970"),
        (np.int64(START_NS // 1000), "looks like microseconds since 1970"),
        (str(START_NS // 10**9), "looks like seconds since 1970"),
        (0, "before the year 2000"),
        (2**63, "after the year 2262"),
        (float("nan"), "start is nan"),
    ],
)
def test_a_number_that_is_not_of_nanoseconds_is_refused_by_name(number: Instant, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        Span.of(number, None)


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        ("01/12/2026", "'01/12/2026', which may be read with the day or the month first; expected the year"),
        ("28/11/2026", "the day or the month first"),
        ("28.11.26 12:00", "the day or the month first"),
        ("12:00", "'12:00'; expected an instant such as"),
        ("Nov 28", "expected an instant such as"),
        ("now", "expected an instant such as"),
        ("1999-12-31T23:59:59Z", "'1999-12-31T23:59:59Z', before the year 2000"),
        (pd.Timestamp(1), "before the year 2000"),
        ("2500-01-01", "expected an instant such as"),
        (pd.Timedelta("1h"), r"a duration; expected an instant such as .* an hour ago is pd.Timestamp.now"),
        (timedelta(hours=1), "a duration; expected an instant"),
        (np.timedelta64(1, "h"), "a duration; expected an instant"),
        (True, "end is True; expected an instant"),
        ([START_NS], "expected an instant"),
    ],
)
def test_what_may_mean_another_instant_is_refused(instant: Any, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        Span.of(None, instant)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("100ms", 10**8),
        ("1s", 10**9),
        ("1ns", 1),
        ("2h", 7200 * 10**9),
        ("00:01:00", 60 * 10**9),
        (pd.Timedelta("1s"), 10**9),
        (timedelta(seconds=2), 2 * 10**9),
        (np.timedelta64(3, "s"), 3 * 10**9),
    ],
)
def test_a_duration_is_read_in_nanoseconds(duration: Duration, expected: int) -> None:
    assert duration_ns("every", duration) == expected


@pytest.mark.parametrize("wrong", ["0s", "-1s", "often", "", "1M", "9999999999 days", None, [1]])
def test_what_is_no_duration_is_refused(wrong: Any) -> None:
    with pytest.raises(QueryError, match=rf"every is {re.escape(repr(wrong))}; expected a duration"):
        duration_ns("every", wrong)


@pytest.mark.parametrize(
    "number", [1, 1.0, 100, "100", "1 2", "0.5", True, np.int64(1), np.float64(1.0), np.timedelta64(5)]
)
def test_a_number_without_a_unit_is_no_duration(number: Any) -> None:
    with pytest.raises(QueryError, match=r"every is .*, a number without a unit; expected a duration"):
        duration_ns("every", number)


def test_a_count_of_rows_is_a_whole_number() -> None:
    assert [row_count("length", 1), row_count("length", np.int64(20))] == [1, 20]
    assert row_count("rows", 0, least=0) == 0
    wrong: Any
    for wrong in (0, -1, 20.0, "20", True, None):
        with pytest.raises(QueryError, match=f"length is {wrong!r}; expected a whole number of rows from 1$"):
            row_count("length", wrong)


def test_an_instant_is_written_as_the_tables_have_it_and_as_a_person_reads_it() -> None:
    assert text_of(1_999) == "1970-01-01T00:00:00.000001Z"
    assert shown(1_999) == "1970-01-01T00:00:00.000001999+00:00"
    index = index_of(np.array([5, 7]))
    assert (index.name, index.asi8.tolist(), str(index.tz)) == ("received_at", [5, 7], "UTC")


@pytest.mark.parametrize("foreign", [True, False])
def test_a_start_inside_a_microsecond_finds_what_was_received_just_before(
    stored_file: str, foreign: bool
) -> None:
    rows = [
        Row(START_NS - 5_000, 1, 1.0),
        Row(START_NS + 300, 1, 3.0),
        Row(START_NS + 100, 1, 2.0),
        Row(START_NS + 700, 1, 4.0),
    ]
    bot = [Row(START_NS, None, 9.0)] if foreign else []
    write(stored_file, Stored(bot + rows, {1: START_NS + 5_000_000}))
    with reading(stored_file) as (connection, known):
        stream = find_stream(connection, known.hot, SYMBOL, None, Span(), {})
        last = Series(stream, ("received_at_ns", "segment_id", "mid_price")).last_before
        found = [last(connection, START_NS + offset) for offset in (-5_000, 0, 100, 101, 500, 701)]
    told = [None if one is None else one["mid_price"].item() for one in found]
    assert told == [None, 1.0, 9.0 if foreign else 1.0, 2.0, 3.0, 4.0]
