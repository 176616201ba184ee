"""Rows that are mixed on purpose say in a column of their own which they are."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collector import iter_features, load_features, load_trades, windows
from collector.errors import QueryError
from collector.query import Series

sys.path.insert(0, str(Path(__file__).parent))
from stored import FIRST_SEGMENT, START_NS, STEP_NS, SYMBOL, Facts, Row, Stored, insert, iso, write


@pytest.fixture
def of_two_depths(stored_file: str) -> str:
    for place, depth in enumerate((50, 200)):
        number = FIRST_SEGMENT + place
        at = [START_NS + (2 * step + place) * STEP_NS for step in range(4)]
        rows = [Row(at_ns, number, float(depth)) for at_ns in at]
        write(stored_file, Stored(rows, {number: at[-1]}), Facts(depth=depth))
    return stored_file


@pytest.mark.parametrize("depth", [[50, 200], (200, 50), np.array([50, 200]), "*"])
def test_several_depths_have_a_column_that_tells_them_apart(of_two_depths: str, depth: Any) -> None:
    frame = load_features(of_two_depths, SYMBOL, depth=depth, columns=["mid_price"])
    assert list(frame.columns) == ["mid_price", "depth", "segment"]
    assert frame["depth"].tolist() == frame["mid_price"].tolist() == [50, 200] * 4
    assert frame["depth"].dtype == "Int64"
    assert "depth" in load_features(of_two_depths, SYMBOL, depth=depth).columns
    (piece,) = iter_features(of_two_depths, SYMBOL, depth=depth, columns=["depth", "mid_price"])
    assert list(piece.columns) == ["depth", "mid_price", "segment"]
    own = frame[frame["depth"] == 200]
    assert windows(own, 3).columns == ("mid_price",)


@pytest.mark.parametrize("output", ["polars", "arrow"])
def test_so_it_is_in_other_libraries(of_two_depths: str, output: Any) -> None:
    pytest.importorskip(output if output == "polars" else "pyarrow")
    frame = load_features(of_two_depths, SYMBOL, depth="*", columns=["mid_price"], output=output)
    depths = frame["depth"].to_list() if output == "polars" else frame["depth"].to_pylist()
    assert depths == [50, 200] * 4


def test_one_depth_needs_no_column(of_two_depths: str) -> None:
    for depth in (50, np.int64(50)):
        assert "depth" not in load_features(of_two_depths, SYMBOL, depth=depth).columns


def test_kinds_of_trades_that_are_mixed_are_told_apart(stored_file: str) -> None:
    at = [START_NS, START_NS + STEP_NS]
    trades: dict[str, list[Any]] = {"timestamp": [iso(at_ns) for at_ns in at], "received_at_ns": at}
    trades |= {"kind": ["trade", "agg"], "trade_id": ["1", "1"], "price": [1.0, 1.0], "size": [1.0, 1.0]}
    names = {"exchange": "bybit", "symbol": SYMBOL, "data_source": "simulator", "segment_id": FIRST_SEGMENT}
    insert(stored_file, "trades", {**trades, **{name: [value] * 2 for name, value in names.items()}})
    assert load_trades(stored_file, SYMBOL, kind="*")["kind"].tolist() == ["trade", "agg"]


def test_rows_that_differ_late_are_told_as_such(any_stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server answers one question at a time, and the names are asked for while rows still come."""
    monkeypatch.setattr(Series.read, "__defaults__", (2,))
    for place, source in enumerate(["a"] * 3 + ["b"] * 5):
        rows = [Row(START_NS + place * STEP_NS, FIRST_SEGMENT + place, 1.0)]
        write(any_stored, Stored(rows, {FIRST_SEGMENT + place: rows[0].at_ns}), Facts(source=source))
    with pytest.raises(QueryError, match="more than one data_source: 'a', 'b'"):
        load_features(any_stored, SYMBOL)
