"""Lists of frames, and frames of polars and Arrow, go through windows and labels like one pandas frame."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from collector import book_tensor, labels, load_features, load_levels, windows
from collector.database import LEVEL_COLUMNS
from collector.errors import QueryError

sys.path.insert(0, str(Path(__file__).parent))
from stored import FIRST_SEGMENT, START_NS, SYMBOL, Row, Stored, insert, iso, write

STEP_NS = 100_000_000
COLUMNS = ["mid_price", "ofi"]


@pytest.fixture
def with_a_hole(stored_file: str) -> str:
    """Two segments of forty states each, with half a second between them that nobody saw."""
    rows, alive = [], {}
    for number, begin in ((FIRST_SEGMENT, 0), (FIRST_SEGMENT + 1, 45)):
        at = [START_NS + (begin + place) * STEP_NS for place in range(40)]
        rows += [Row(at_ns, number, 100.0 + at_ns % 7, float(at_ns % 5)) for at_ns in at]
        alive[number] = at[-1]
    write(stored_file, Stored(rows, alive))
    return stored_file


@pytest.mark.parametrize("output", ["polars", "arrow"])
@pytest.mark.parametrize("every", ["100ms", None])
def test_polars_and_arrow_give_the_same_as_pandas(with_a_hole: str, output: Any, every: str | None) -> None:
    pytest.importorskip(output if output == "polars" else "pyarrow")
    ours = load_features(with_a_hole, SYMBOL, every=every, columns=COLUMNS)
    theirs = load_features(with_a_hole, SYMBOL, every=every, columns=COLUMNS, output=output)
    cut, other = windows(ours, 5, 3), windows(theirs, 5, 3)
    assert (other.columns, other.last.tolist()) == (cut.columns, cut.last.tolist())
    assert np.array_equal(other.samples, cut.samples)
    assert len(cut) > 20

    after = labels(ours, "300ms", barrier_bps=1.0)
    found = labels(theirs, "300ms", barrier_bps=1.0)
    assert type(found) is type(theirs)
    frame = found.to_pandas() if output == "arrow" else found.to_arrow().to_pandas()
    assert list(frame.columns) == ["received_at", "move_bps", "direction", "barrier", "touched_after"]
    assert frame["received_at"].tolist() == after.index.tolist()
    for name in ("move_bps", "direction", "barrier"):
        ours_of = after[name].to_numpy(dtype=np.float64, na_value=np.nan)
        assert np.array_equal(frame[name].to_numpy(dtype=np.float64), ours_of, equal_nan=True)
    assert frame["touched_after"].equals(after["touched_after"].reset_index(drop=True))


@pytest.mark.parametrize("output", ["polars", "arrow"])
def test_an_instant_taken_out_of_another_library_s_frame_is_a_hole_too(with_a_hole: str, output: Any) -> None:
    pytest.importorskip(output if output == "polars" else "pyarrow")
    theirs = load_features(with_a_hole, SYMBOL, every="100ms", columns=["mid_price"], output=output)
    keep = [place for place in range(40) if place != 20]
    cut = windows(theirs[keep] if output == "polars" else theirs.take(keep), 10)
    assert cut.last.tolist() == [*range(9, 20), *range(29, 39)]


@pytest.mark.parametrize("output", ["pandas", "polars", "arrow"])
def test_a_list_of_stretches_is_taken_end_to_end(with_a_hole: str, output: Any) -> None:
    whole = load_features(with_a_hole, SYMBOL, every="100ms", columns=COLUMNS)
    parts = load_features(with_a_hole, SYMBOL, every="100ms", columns=COLUMNS, on_gap="split", output=output)
    assert [len(part) for part in parts] == [40, 40]
    cut, other = windows(whole, 5), windows(parts, 5)
    assert np.array_equal(other.samples, cut.samples)
    rows = np.flatnonzero(whole["segment"].notna())
    assert rows[other.last].tolist() == cut.last.tolist()

    after, found = labels(whole, "500ms"), labels(parts, "500ms")
    assert len(found) == 80
    directions = found["direction"].to_list() if output == "polars" else found["direction"]
    if output == "arrow":
        directions = found["direction"].to_pylist()
    expected = after["direction"].iloc[rows].tolist()
    assert [None if one is pd.NA else one for one in directions] == [
        None if one is pd.NA else one for one in expected
    ]
    assert [expected[place] for place in other.last] == after["direction"].iloc[cut.last].tolist()


def test_stretches_of_a_clock_that_was_set_back_are_taken_one_by_one() -> None:
    """Each is in order by itself, the second begins before the first."""
    frames = []
    for number, begin in ((1, "2026-01-01T00:00:10"), (2, "2026-01-01T00:00:00")):
        index = pd.date_range(begin, periods=4, freq="1s", tz="UTC", name="received_at")
        segment = pd.array([number] * 4, dtype="Int64")
        frames.append(pd.DataFrame({"mid_price": np.arange(4.0) + 10, "segment": segment}, index=index))
    assert windows(frames, 3).last.tolist() == [2, 3, 6, 7]
    assert labels(frames, "2s")["move_bps"].notna().tolist() == [True, True, False, False] * 2


def test_the_tensor_takes_stretches_and_other_libraries(stored_file: str) -> None:
    at = [START_NS + place * STEP_NS for place in (*range(6), *range(10, 16))]
    segment = [FIRST_SEGMENT] * 6 + [FIRST_SEGMENT + 1] * 6
    write(
        stored_file,
        Stored(
            [Row(at_ns, number, 100.0) for at_ns, number in zip(at, segment, strict=True)],
            {FIRST_SEGMENT: at[5], FIRST_SEGMENT + 1: at[-1]},
        ),
    )
    columns: dict[str, list[Any]] = {name: [1.0 * place] * 12 for place, name in enumerate(LEVEL_COLUMNS)}
    insert(
        stored_file,
        "levels",
        {
            "timestamp": [iso(at_ns) for at_ns in at],
            "symbol": [SYMBOL] * 12,
            "exchange": ["bybit"] * 12,
            "data_source": ["simulator"] * 12,
            "received_at_ns": at,
            "segment_id": segment,
            "depth": [50] * 12,
            **columns,
        },
    )
    expected = book_tensor(load_levels(stored_file, SYMBOL), 4)
    assert expected.shape == (6, 4, 40)
    for given in (
        load_levels(stored_file, SYMBOL, on_gap="split"),
        load_levels(stored_file, SYMBOL, output="polars"),
        load_levels(stored_file, SYMBOL, output="arrow"),
    ):
        assert np.array_equal(book_tensor(given, 4), expected)
    with pytest.raises(QueryError, match=r"index is 'exchange_timestamp'; expected received_at$"):
        load_levels(stored_file, SYMBOL, index="exchange_timestamp")  # type: ignore[arg-type]


def test_nothing_covered_is_nothing_cut_and_said() -> None:
    with pytest.warns(UserWarning, match="no window of 3 rows: no stretch without a hole is so long"):
        assert windows([], 3, columns=["mid_price"]).samples.shape == (0, 3, 1)
    with pytest.warns(UserWarning, match="no row is followed by '1s' without a hole"):
        assert list(labels([], "1s").columns) == ["move_bps", "direction"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (42, "this is a int; expected a frame of pandas, polars or Arrow that a loader made, or a list"),
        (["a.db"], "this is a str; expected a frame"),
        (np.zeros((3, 2)), "this is a ndarray; expected a frame"),
    ],
)
def test_what_is_no_frame_is_refused(given: Any, words: str) -> None:
    for ask in (lambda: windows(given, 2), lambda: labels(given, 2), lambda: book_tensor(given, 2)):
        with pytest.raises(QueryError, match=words):
            ask()


def test_a_lazy_frame_and_one_without_instants_are_refused_by_name(with_a_hole: str) -> None:
    polars = pytest.importorskip("polars")
    frame = load_features(with_a_hole, SYMBOL, every="100ms", columns=COLUMNS, output="polars")
    with pytest.raises(QueryError, match=r"a lazy frame of polars; expected its rows: \.collect\(\)"):
        windows(frame.lazy(), 2)
    with pytest.raises(QueryError, match="no column of instants; expected one that a loader made"):
        windows(frame.select(polars.exclude("received_at")), 2)


@pytest.mark.parametrize("output", ["pandas", "polars", "arrow"])
def test_a_horizon_below_the_step_is_refused(with_a_hole: str, output: Any) -> None:
    """No price moves within it: every label would be 0, and a model that says so always right."""
    frame = load_features(with_a_hole, SYMBOL, every="1s", columns=["mid_price"], output=output)
    with pytest.raises(QueryError, match="'500ms', shorter than the step of the frame, 1 s: every label"):
        labels(frame, "500ms")
    assert len(labels(frame, "1s")) == len(labels(frame, timedelta(seconds=1))) == len(frame)
    if output == "pandas":  # what pandas forgot of the step is seen
        frame.attrs.clear()
        with pytest.raises(QueryError, match="shorter than the step"):
            labels(frame, "500ms")


def test_horizons_and_lengths_that_are_no_whole_numbers_are_refused(with_a_hole: str) -> None:
    frame = load_features(with_a_hole, SYMBOL, every="100ms", columns=["mid_price"])
    for horizon in (1.0, 0.5, "1", True, np.float64(10), None):
        with pytest.raises(QueryError, match=r"horizon is .*expected"):
            labels(frame, horizon)  # type: ignore[arg-type]
    for length in ("2s", 20.0, True, None):
        with pytest.raises(QueryError, match=r"length is .*; expected a whole number of rows from 1"):
            windows(frame, length)  # type: ignore[arg-type]
    assert len(windows(frame, np.int64(20))) == len(windows(frame, 20))
    assert labels(frame, np.int64(5)).equals(labels(frame, 5))
