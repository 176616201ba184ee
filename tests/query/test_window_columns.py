"""What windows are cut of: columns of the market, and a word where one of them leaves none."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from collector import labels, load_features, windows
from collector.errors import QueryError

sys.path.insert(0, str(Path(__file__).parent))
from stored import FIRST_SEGMENT, START_NS, SYMBOL, Row, Stored, write


def frame_of(**columns: list[float]) -> pd.DataFrame:
    """Rows of one segment, a second apart."""
    count = len(next(iter(columns.values())))
    index = pd.date_range("2026-01-01", periods=count, freq="1s", tz="UTC", name="received_at")
    return pd.DataFrame({**columns, "segment": pd.array([1] * count, dtype="Int64")}, index=index)


def test_columns_that_keep_books_are_no_features(stored_file: str) -> None:
    rows = [Row(START_NS + place * 10**9, FIRST_SEGMENT, 1.0 + place, 1.0) for place in range(5)]
    write(stored_file, Stored(rows, {FIRST_SEGMENT: rows[-1].at_ns}))
    frame = load_features(stored_file, SYMBOL)
    books = {"exchange_timestamp", "sequence", "data_quality_score", "segment"}
    assert books < set(frame.columns)
    cut = windows(frame.dropna(axis="columns", how="all"), 2)
    assert cut.columns == ("mid_price", "ofi")
    assert cut.samples.max() == 5.0
    named = windows(frame, 2, columns=["exchange_timestamp", "mid_price"])  # whoever names one gets it
    assert named.samples[0, 0, 0] == START_NS // 1_000_000


def test_a_column_that_no_row_has_is_named() -> None:
    """So it is with Kraken's `sequence`, and with the totals of best prices alone."""
    frame = frame_of(mid_price=[1.0] * 5, total_bid_volume=[np.nan] * 5, depth_5=[np.nan] * 5)
    with pytest.raises(QueryError, match="of 3 rows is whole: no row has total_bid_volume, depth_5;"):
        windows(frame, 3)
    assert len(windows(frame, 3, columns=["mid_price"])) == 3


def test_a_column_that_leaves_no_window_is_named() -> None:
    frame = frame_of(mid_price=[1.0] * 6, spread=[1.0, np.nan, 2.0, np.nan, 3.0, 4.0])
    with pytest.warns(UserWarning, match="no window of 3 rows: spread is missing in 2 of 6 rows") as told:
        assert len(windows(frame, 3)) == 0
    assert told[0].filename == __file__


def test_a_label_that_no_row_has_is_told() -> None:
    with pytest.warns(UserWarning, match="no row is followed by '10s' without a hole: none") as told:
        assert labels(frame_of(mid_price=[1.0] * 6), "10s")["direction"].isna().all()
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["mid"], "the frame has no column mid; expected one of mid_price, side, segment"),
        ("mid_price", r"columns is 'mid_price'; expected a list: \[\"mid_price\"\]"),
        (["side"], "the column side is not one of numbers"),
        ([], "no column of numbers to cut"),
    ],
)
def test_columns_that_cannot_be_cut_are_refused(columns: list[str], words: str) -> None:
    frame = frame_of(mid_price=[1.0] * 3).assign(side="buy")[["mid_price", "side", "segment"]]
    with pytest.raises(QueryError, match=words):
        windows(frame, 2, columns=columns)
    with pytest.raises(QueryError, match="the column side is not one of numbers"):
        labels(frame, 1, price="side")
