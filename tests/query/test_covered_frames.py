"""Coverage and holes as frames: instants, durations, and numbers that stay whole."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from collector import coverage, gaps
from collector.errors import QueryError

sys.path.insert(0, str(Path(__file__).parent))
from stored import FIRST_SEGMENT, START_NS, SYMBOL, Row, Stored, insert, write

S = 1_000_000_000
SECOND = pd.Timedelta("1s")
SEQUENCE = 2**60 + 1  # no float holds it
START = pd.Timestamp(START_NS, tz="UTC")


@pytest.fixture
def with_a_hole(any_stored: str) -> str:
    """Ten seconds that are covered, five that are not, and a segment that is still open."""
    rows = [Row(START_NS, FIRST_SEGMENT, 1.0), Row(START_NS + 9 * S, FIRST_SEGMENT, 2.0)]
    write(any_stored, Stored(rows, {FIRST_SEGMENT: START_NS + 10 * S}))
    told = {"session_id": "s", "exchange": "bybit", "symbol": SYMBOL, "channel": "book.50"}
    at = {"start_ns": START_NS + 15 * S, "end_ns": START_NS + 19 * S, "alive_until_ns": START_NS + 20 * S}
    numbers = {"first_sequence": SEQUENCE, "last_sequence": SEQUENCE + 2, "rows": 3, "witnessed": 0}
    segment = {"segment_id": FIRST_SEGMENT + 1, **told, **at, **numbers, "disagreed": 0}
    segment |= {"verification": "sequence", "end_cause": None, "detail": None}
    insert(any_stored, "coverage", {name: [value] for name, value in segment.items()})
    return any_stored


def test_coverage_says_when_and_for_how_long(with_a_hole: str) -> None:
    found = coverage(with_a_hole, SYMBOL)
    assert found["start"].tolist() == [START, START + 15 * SECOND]
    assert found["end"].tolist() == [START + 9 * SECOND, START + 19 * SECOND]
    assert found["alive_until"].tolist() == [START + 10 * SECOND, START + 20 * SECOND]
    assert found["duration"].tolist() == [10 * SECOND, 5 * SECOND]
    assert found["start"].dt.tz is not None
    assert found["start_ns"].tolist() == [START_NS, START_NS + 15 * S]  # as the table calls it
    assert found["end_cause"].tolist() == ["sequence_gap", None]


def test_holes_say_when_and_for_how_long(with_a_hole: str) -> None:
    (hole,) = gaps(with_a_hole, SYMBOL).to_dict(orient="records")
    assert (hole["start"], hole["end"]) == (START + 10 * SECOND, START + 15 * SECOND)
    assert (hole["duration"], hole["cause"]) == (5 * SECOND, "sequence_gap")
    assert (hole["from_ns"], hole["until_ns"]) == (START_NS + 10 * S, START_NS + 15 * S)
    total = gaps(with_a_hole).groupby("channel")["duration"].sum()
    assert total.to_dict() == {"book.50": 5 * SECOND}


def test_whole_numbers_stay_whole_where_one_is_missing(with_a_hole: str) -> None:
    found = coverage(with_a_hole)
    assert found["first_sequence"].tolist() == [pd.NA, SEQUENCE]
    assert found["last_sequence"].dtype == found["first_sequence"].dtype == "Int64"
    named = ["segment_id", "start_ns", "end_ns", "alive_until_ns", "rows"]
    assert {str(found[name].dtype) for name in named} == {"int64"}


@pytest.mark.parametrize("output", ["polars", "arrow"])
def test_polars_and_arrow_get_the_same(with_a_hole: str, output: Any) -> None:
    pytest.importorskip(output if output == "polars" else "pyarrow")
    for ask in (coverage, gaps):
        ours, theirs = ask(with_a_hole), ask(with_a_hole, output=output)
        frame = theirs if output == "arrow" else theirs.to_arrow()
        assert frame.column_names == list(ours.columns)
        for name in ours:
            values = [None if pd.isna(one) else one for one in ours[name].tolist()]
            assert frame[name].to_pylist() == values, name


@pytest.mark.parametrize("output", ["pandas", "polars", "arrow"])
def test_no_rows_have_the_same_columns(stored_file: str, output: Any) -> None:
    pytest.importorskip("pyarrow" if output == "arrow" else output)
    for ask in (coverage, gaps):
        found = ask(stored_file, output=output)
        assert len(found) == 0
        names = found.column_names if output == "arrow" else list(found.columns)
        assert {"start", "end", "duration", "channel"} < set(names)
        if output == "polars":
            assert str(found["duration"].dtype) == "Duration(time_unit='ns')"


def test_an_unknown_output_is_refused(stored_file: str) -> None:
    for ask in (coverage, gaps):
        with pytest.raises(QueryError, match="output is 'excel'; expected pandas, polars, arrow"):
            ask(stored_file, output="excel")  # type: ignore[arg-type]
