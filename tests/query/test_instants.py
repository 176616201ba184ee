"""Spans, instants and durations as a person writes them."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from collector import load_features
from collector.errors import QueryError
from collector.query.instants import DAY_NS, Span, duration_ns, index_of, shown, text_of

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, SYMBOL, Row, Stored, write


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
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-02", DAY_NS),
        (pd.Timestamp(5, tz="UTC"), 5),
        (7, 7),
        (None, None),
    ],
)
def test_an_instant_may_be_written_in_several_ways(text: str | pd.Timestamp | int | None, at_ns: int) -> None:
    assert Span.of(text, None) == Span(at_ns, None)
    assert Span.of(None, text) == Span(None, at_ns)


def test_what_is_no_span_is_refused() -> None:
    assert Span.of(5, 5) == Span(5, 5)
    with pytest.raises(QueryError, match="end 4 is before start 5"):
        Span.of(5, 4)
    for wrong in ("yesterday-ish", "NaT"):
        with pytest.raises(QueryError, match=f"end is '{wrong}'; expected an instant"):
            Span.of(None, wrong)


@pytest.mark.parametrize(
    ("text", "expected"), [("100ms", 10**8), ("1s", 10**9), ("1ns", 1), ("2h", 7200 * 10**9)]
)
def test_a_duration_is_read_in_nanoseconds(text: str, expected: int) -> None:
    assert duration_ns("every", text) == expected


@pytest.mark.parametrize("text", ["0s", "-1s", "often"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match=f"every is '{text}'; expected a duration"):
        duration_ns("every", text)


def test_an_instant_is_written_as_the_tables_have_it_and_as_a_person_reads_it() -> None:
    assert text_of(1_999) == "1970-01-01T00:00:00.000001Z"
    assert shown(1_999) == "1970-01-01T00:00:00.000001999+00:00"
    index = index_of(np.array([5, 7]))
    assert (index.name, index.asi8.tolist(), str(index.tz)) == ("received_at", [5, 7], "UTC")
