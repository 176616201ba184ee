"""Windows and labels against slow, obvious ones: none crosses a hole."""

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import book_tensor, labels, windows
from collector.errors import QueryError
from collector.query.training import TENSOR_COLUMNS

sys.path.insert(0, str(Path(__file__).parent))
from stored import FIRST_SEGMENT, START_NS, STEP_NS

HORIZON = 3
pytestmark = pytest.mark.filterwarnings("ignore:no (window|row)")  # of small frames; each is asked for below


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Frames as loaders make them: segments, masked rows, missing prices, uneven times."""
    count = draw(st.integers(0, 30))
    gaps = draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    kinds = draw(st.lists(st.sampled_from("sssssnmp"), min_size=count, max_size=count))
    prices = draw(st.lists(st.integers(90, 110), min_size=count, max_size=count))
    segment, segments, mids = FIRST_SEGMENT, [], []
    for kind, price in zip(kinds, prices, strict=True):
        segment += kind == "n"
        segments.append(pd.NA if kind == "m" else segment)
        mids.append(np.nan if kind in "mp" else float(price))
    index = pd.DatetimeIndex(START_NS + np.cumsum(np.array(gaps, dtype=np.int64)) * STEP_NS, tz="UTC")
    return pd.DataFrame({"mid_price": mids, "segment": pd.array(segments, dtype="Int64")}, index=index)


def stretch(frame: pd.DataFrame, place: int) -> list[int]:
    """The places from a row on, as long as its segment goes on without anything missing."""
    segment = frame["segment"].tolist()
    mid = frame["mid_price"].tolist()
    found = []
    for other in range(place, len(frame)):
        if segment[other] is pd.NA or segment[other] != segment[place] or np.isnan(mid[other]):
            break
        found.append(other)
    return found


@settings(deadline=None)
@given(frame=frames(), length=st.integers(1, 5))
def test_windows_equal_the_oracle(frame: pd.DataFrame, length: int) -> None:
    expected = [place for place in range(len(frame)) if len(stretch(frame, place)) >= length]
    if not expected and frame["mid_price"].isna().all():
        with suppress(QueryError):  # there is none, and an error says so where a stretch is long enough
            assert not len(windows(frame, length))
        return
    found = windows(frame, length)
    assert found.last.tolist() == [place + length - 1 for place in expected]
    mids = frame["mid_price"].to_numpy()
    for sample, place in zip(found.samples, expected, strict=True):
        assert sample[:, 0].tolist() == mids[place : place + length].tolist()
    assert set(windows(frame, length, 2).last) <= set(found.last)


@settings(deadline=None)
@given(frame=frames(), by_time=st.booleans(), barrier=st.sampled_from([100.0, 500.0]))
def test_labels_equal_the_oracle(frame: pd.DataFrame, by_time: bool, barrier: float) -> None:
    found = labels(frame, "3ms" if by_time else HORIZON, barrier_bps=barrier)
    at = frame.index.as_unit("ns").asi8
    mid = frame["mid_price"].to_numpy()
    for place in range(len(frame)):
        ahead = stretch(frame, place)
        move, touched, after = np.nan, pd.NA, pd.NaT
        if by_time:
            end = at[place] + HORIZON * STEP_NS if ahead else 0
            inside = [other for other in ahead if at[other] <= end]
            is_seen = bool(ahead) and at[ahead[-1]] >= end
        else:
            inside = ahead[: HORIZON + 1]
            is_seen = len(inside) == HORIZON + 1
        if is_seen:
            move = (mid[inside[-1]] - mid[place]) / mid[place] * 10_000
            touched = 0
        for other in inside[1:]:
            if mid[other] >= mid[place] * (1 + barrier / 10_000):
                touched, after = 1, pd.Timedelta(at[other] - at[place], unit="ns")
                break
            if mid[other] <= mid[place] * (1 - barrier / 10_000):
                touched, after = -1, pd.Timedelta(at[other] - at[place], unit="ns")
                break
        row = found.iloc[place]
        assert row["move_bps"] == move or (np.isnan(row["move_bps"]) and np.isnan(move))
        assert (row["direction"] is pd.NA) == np.isnan(move)
        assert np.isnan(move) or row["direction"] == np.sign(move)
        assert (row["barrier"] is pd.NA and touched is pd.NA) or row["barrier"] == touched
        assert (row["touched_after"] is pd.NaT and after is pd.NaT) or row["touched_after"] == after


def test_an_instant_taken_out_is_a_hole_as_well() -> None:
    index = pd.date_range("2026-01-01", periods=10, freq="1s", tz="UTC")
    frame = pd.DataFrame(
        {"mid_price": np.arange(10.0), "segment": pd.array([1] * 10, dtype="Int64")}, index=index
    )
    frame.attrs["every_ns"] = 1_000_000_000
    assert len(windows(frame, 3)) == 8
    assert windows(frame.drop(index[4]), 3).last.tolist() == [2, 3, 6, 7, 8]


def test_the_tensor_is_in_deeplob_s_order() -> None:
    index = pd.date_range("2026-01-01", periods=5, freq="1s", tz="UTC")
    assert TENSOR_COLUMNS[:5] == ("ask_price_1", "ask_size_1", "bid_price_1", "bid_size_1", "ask_price_2")
    columns = {name: np.arange(5.0) * 100 + place for place, name in enumerate(TENSOR_COLUMNS)}
    frame = pd.DataFrame({**columns, "segment": pd.array([1, 1, 1, 2, 2], dtype="Int64")}, index=index)
    tensor = book_tensor(frame, 2)
    assert tensor.shape == (3, 2, 40)
    assert tensor[0, 1].tolist() == [100.0 + place for place in range(40)]
    with pytest.raises(QueryError, match="no column ask_price_1"):
        book_tensor(frame.drop(columns="ask_price_1"), 2)


def test_mistakes_are_told() -> None:
    frame = pd.DataFrame({"mid_price": [1.0]}, index=pd.DatetimeIndex(["2026-01-01"], tz="UTC"))
    with pytest.raises(QueryError, match="no column `segment`"):
        windows(frame, 1)
    frame["segment"] = pd.array([1], dtype="Int64")
    with pytest.raises(QueryError, match="length is 0; expected a whole number of rows from 1"):
        windows(frame, 0)
    with pytest.raises(QueryError, match="numbers above 0"):
        labels(frame, 1, barrier_bps=-1)
    with pytest.raises(QueryError, match="no column close"):
        labels(frame, 1, price="close")


@pytest.mark.parametrize("barrier", [0, -1, (0, 1), (1, 0)])
def test_a_barrier_is_above_nothing(barrier: float | tuple[float, float]) -> None:
    index = pd.date_range("2026-01-01", periods=3, freq="1s", tz="UTC")
    frame = pd.DataFrame({"mid_price": [100.0] * 3, "segment": pd.array([1] * 3, dtype="Int64")}, index=index)
    with pytest.raises(QueryError, match="numbers above 0"):
        labels(frame, 1, barrier_bps=barrier)
    assert list(labels(frame, 1, barrier_bps=(0.5, 1))["barrier"][:2]) == [0, 0]


def test_labels_say_moves_directions_and_both_barriers_in_exact_numbers() -> None:
    index = pd.date_range("2026-01-01", periods=5, freq="1s", tz="UTC")
    prices = [100.0, 101.0, 99.0, 99.5, 100.0]
    frame = pd.DataFrame({"mid_price": prices, "segment": pd.array([1] * 5, dtype="Int64")}, index=index)
    by_rows = labels(frame, 2, threshold_bps=100.0, barrier_bps=(100, 200))
    assert by_rows["move_bps"][:3].tolist() == [
        -100.0,
        (99.5 - 101.0) / 101.0 * 10_000,
        (100.0 - 99.0) / 99.0 * 10_000,
    ]
    assert by_rows["move_bps"][3:].isna().all()
    assert by_rows["direction"][:3].tolist() == [0, -1, 1]  # at the threshold it is not beyond it
    assert by_rows["barrier"][:3].tolist() == [-1, -1, 0]
    seconds = by_rows["touched_after"].dt.total_seconds()
    assert seconds[:2].tolist() == [2.0, 1.0]
    by_time = labels(frame, "2s")
    assert by_time["move_bps"][:3].tolist() == by_rows["move_bps"][:3].tolist()
    assert list(by_time.columns) == ["move_bps", "direction"]
    with pytest.raises(QueryError, match="horizon is 0; expected a whole number of rows from 1"):
        labels(frame, 0)


def test_every_step_th_window_of_each_stretch_is_taken() -> None:
    index = pd.date_range("2026-01-01", periods=9, freq="1s", tz="UTC")
    segment = pd.array([1] * 5 + [2] * 4, dtype="Int64")
    frame = pd.DataFrame(
        {"a": np.arange(9.0), "b": -np.arange(9.0), "word": ["x"] * 9, "segment": segment}, index=index
    )
    found = windows(frame, 2, 2)
    assert found.columns == ("a", "b")
    assert (found.last.tolist(), len(found)) == ([1, 3, 6, 8], 4)
    assert found.samples[1].tolist() == [[2.0, -2.0], [3.0, -3.0]]
    assert windows(frame, 2, columns=["b"]).samples[0].tolist() == [[0.0], [-1.0]]
    with pytest.warns(UserWarning, match="no window of 6 rows: no stretch without a hole is so long"):
        none = windows(frame, 6)
    assert (none.samples.shape, len(none)) == ((0, 6, 2), 0)
    with pytest.raises(QueryError, match="step is 0; expected a whole number"):
        windows(frame, 2, 0)
    with pytest.raises(QueryError, match="not indexed by time"):
        labels(frame.reset_index(drop=True).assign(mid_price=1.0), 1)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (
            ["2026-01-01T00:00:02", "2026-01-01T00:00:01", "2026-01-01T00:00:03"],
            "goes back, at 2026-01-01T00:00:01",
        ),
        (["2026-01-01T00:00:01", None, "2026-01-01T00:00:03"], "lacks 1 instants"),
    ],
)
def test_an_index_that_is_in_no_order_of_time_is_refused(index: list[str | None], words: str) -> None:
    """The exchange's times need not grow from row to row, and need not be there."""
    at = pd.DatetimeIndex(pd.to_datetime(index), tz="UTC")
    frame = pd.DataFrame(
        {"mid_price": [1.0, 2.0, 3.0], "segment": pd.array([1] * 3, dtype="Int64")}, index=at
    )
    for ask in (lambda: labels(frame, "1s"), lambda: labels(frame, 1), lambda: windows(frame, 2)):
        with pytest.raises(QueryError, match=words) as caught:
            ask()
        assert 'index="received_at"' in str(caught.value)
    assert len(windows(frame.iloc[[0, 2]], 2)) == 1
