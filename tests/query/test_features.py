"""The loader of features against a slow, obvious one, over random rows with holes."""

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import gaps, iter_features, load_features
from collector.errors import QueryError
from collector.query import loading, sparse_rows

sys.path.insert(0, str(Path(__file__).parent))
from stored import (
    FIRST_SEGMENT,
    START_NS,
    STEP_NS,
    SYMBOL,
    Facts,
    Row,
    State,
    Stored,
    histories,
    insert,
    iso,
    state_at,
    write,
)

Empty = Callable[[str], str]
EXAMPLES = settings(
    max_examples=settings().max_examples // 5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
CUTS = st.tuples(st.integers(-2, 30), st.integers(0, 30)) | st.none()
COLUMNS = ["mid_price", "ofi", "sequence", "data_quality_score", "data_source", "exchange_timestamp"]


def span_of(cut: tuple[int, int] | None) -> dict[str, int]:
    if cut is None:
        return {}
    start = START_NS + cut[0] * STEP_NS
    return {"start": start, "end": start + cut[1] * STEP_NS}


def ns(frame: pd.DataFrame) -> list[int]:
    return frame.index.as_unit("ns").asi8.tolist()


def states(frame: pd.DataFrame) -> dict[int, tuple[float, int, float]]:
    """Return what a frame says where it says anything."""
    kept = frame[frame["segment"].notna()]
    values = zip(kept["mid_price"], kept["segment"].tolist(), kept["ofi"], strict=True)
    return dict(zip(ns(kept), values, strict=True))


def expected(edges: list[int], history: Stored, wanted: Callable[[State], bool]) -> dict[int, Any]:
    found = {edge: state_at(history, edge) for edge in edges}
    return {
        edge: (at.mid, at.segment, at.flow) for edge, at in found.items() if at is not None and wanted(at)
    }


def stored_instants(history: Stored, end_ns: int) -> range:
    """Answer from where to where instants can be returned: from the first row until the last state ends."""
    last = history.rows[-1]
    if last.at_ns // 1000 < end_ns // 1000:  # else more is stored behind the span
        alive_ns = history.alive_until_ns.get(last.segment or 0, 0)
        end_ns = min(end_ns, max(last.at_ns, alive_ns) + STEP_NS)
    first_ns = -(-history.rows[0].at_ns // STEP_NS) * STEP_NS
    return range(first_ns, end_ns, STEP_NS)


@pytest.mark.parametrize(
    ("any_database", "route"),
    [
        *(("sqlite", "dense"), ("sqlite", "sparse")),
        *(pytest.param("postgresql", route, marks=pytest.mark.proof) for route in ("dense", "sparse")),
    ],
    indirect=["any_database"],
)
@EXAMPLES
@given(history=histories(), cut=CUTS, least=st.sampled_from([None, 0.5]))
def test_states_equal_the_oracle(
    any_stored: str,
    emptied: Empty,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    history: Stored,
    cut: tuple[int, int] | None,
    least: float | None,
) -> None:
    monkeypatch.setattr(sparse_rows, "_WORTH_ROWS", 0.0 if route == "sparse" else 1e9)
    write(emptied(any_stored), history)
    span = span_of(cut)

    def load(**more: Any) -> Any:
        return load_features(
            any_stored, SYMBOL, every="1ms", columns=COLUMNS, min_quality=least, **span, **more
        )

    def good(at: State) -> bool:
        return least is None or at.quality >= least

    frame = load()
    edges = ns(frame)
    asked = [] if cut is None else list(range(span["start"], span["end"], STEP_NS))
    if cut is not None:
        assert edges == [edge for edge in asked if edge in stored_instants(history, span["end"])]
    verified = expected(edges, history, lambda at: at.is_covered and good(at))
    assert states(frame) == verified
    assert frame[~frame.index.isin(pd.to_datetime(list(verified), utc=True))].isna().all().all()
    assert states(load(on_gap="ignore")) == expected(edges, history, good)
    parts = load(on_gap="split")
    assert {edge: state for part in parts for edge, state in states(part).items()} == verified
    for part in parts:
        assert set(part["segment"]) == {part["segment"].iloc[0]}
        assert (np.diff(ns(part)) == STEP_NS).all()
    for one, other in itertools.pairwise(parts):
        assert ns(one)[-1] + STEP_NS < ns(other)[0] or one["segment"].iloc[-1] != other["segment"].iloc[0]
    if len(parts) == 1 and len(verified) == len(edges) and asked in ([], edges):
        pd.testing.assert_frame_equal(load(on_gap="raise"), frame)
    elif edges or asked:
        with pytest.raises(QueryError, match="see on_gap"):
            load(on_gap="raise")


@EXAMPLES
@given(history=histories(), cut=CUTS)
def test_rows_are_those_of_the_half_open_interval(
    any_stored: str, emptied: Empty, history: Stored, cut: tuple[int, int] | None
) -> None:
    write(emptied(any_stored), history)
    span = span_of(cut)
    frame = load_features(any_stored, SYMBOL, columns=COLUMNS, **span)
    places = [
        place
        for place, row in enumerate(history.rows)
        if span.get("start", 0) <= row.at_ns < span.get("end", 2**63)
    ]
    rows = [history.rows[place] for place in places]
    assert ns(frame) == [row.at_ns for row in rows]
    assert frame["mid_price"].tolist() == [row.mid for row in rows]
    assert frame["segment"].tolist() == [row.segment for row in rows]
    told = [pd.NA if row.mid % 7 == 0 else 2**60 + place for place, row in zip(places, rows, strict=True)]
    assert frame["sequence"].tolist() == told
    assert np.array_equal(
        frame["ofi"].to_numpy(), [np.nan if row.ofi is None else row.ofi for row in rows], equal_nan=True
    )
    parts = load_features(any_stored, SYMBOL, columns=COLUMNS, on_gap="split", **span)
    assert [ns(part) for part in parts] == [
        [row.at_ns for row in rows if row.segment == segment]
        for segment in dict.fromkeys(row.segment for row in rows)
    ]


@pytest.mark.parametrize("every", [None, pytest.param("1ms", marks=pytest.mark.proof), "7ms"])
@EXAMPLES
@given(history=histories(), cut=CUTS, piece=st.integers(2, 9))
def test_the_pieces_are_the_whole(
    stored_file: str,
    emptied: Empty,
    monkeypatch: pytest.MonkeyPatch,
    every: str | None,
    history: Stored,
    cut: tuple[int, int] | None,
    piece: int,
) -> None:
    monkeypatch.setattr(loading, "PIECE_ROWS", piece)
    rows = [replace(row, at_ns=row.at_ns // 1000 * 1000 + place) for place, row in enumerate(history.rows)]
    alive = {row.segment: row.at_ns for row in rows if row.segment is not None}
    write(emptied(stored_file), Stored(rows, alive))  # many rows of one microsecond
    span = span_of(cut)
    whole = load_features(stored_file, SYMBOL, every=every, columns=COLUMNS, **span)
    pieces = list(iter_features(stored_file, SYMBOL, every=every, columns=COLUMNS, **span))
    assert sum(map(len, pieces)) == len(whole)
    if pieces:
        pd.testing.assert_frame_equal(pd.concat(pieces), whole, check_categorical=False)


def test_rows_of_unknown_coverage_are_rows_but_never_states(any_stored: str) -> None:
    """A bot that writes into the same table knows nothing of nanoseconds and segments."""
    rows = [
        Row(START_NS + place * STEP_NS, FIRST_SEGMENT if place < 3 else None, 1.0 + place)
        for place in range(6)
    ]
    write(any_stored, Stored(rows, {FIRST_SEGMENT: rows[2].at_ns}))
    frame = load_features(any_stored, SYMBOL)
    assert ns(frame) == [row.at_ns for row in rows]
    assert frame["segment"].isna().tolist() == [False] * 3 + [True] * 3
    assert [len(part) for part in load_features(any_stored, SYMBOL, on_gap="split")] == [3]
    with pytest.raises(QueryError, match="is not covered"):
        load_features(any_stored, SYMBOL, on_gap="raise")
    assert load_features(any_stored, SYMBOL, every="1ms")["segment"].notna().sum() == 3
    assert load_features(any_stored, SYMBOL, every="1ms", on_gap="ignore")["mid_price"].tolist()[-1] == 6.0


def test_a_late_row_takes_its_place_in_time(stored_file: str) -> None:
    """What waited in the spool is written after what came later."""
    late = [Row(START_NS + 5 * STEP_NS, FIRST_SEGMENT, 5.0, 1.0), Row(START_NS + STEP_NS, FIRST_SEGMENT, 1.0)]
    write(stored_file, Stored(late))
    assert load_features(stored_file, SYMBOL)["mid_price"].tolist() == [1.0, 5.0]


@pytest.fixture
def small(stored_file: str) -> str:
    rows = [
        Row(START_NS + place * STEP_NS, FIRST_SEGMENT + place // 3, 100.0 + place, 1.0) for place in range(6)
    ]
    write(stored_file, Stored(rows, {FIRST_SEGMENT: rows[2].at_ns, FIRST_SEGMENT + 1: rows[5].at_ns}))
    return stored_file


def test_a_hole_has_its_bounds(small: str) -> None:
    holes = gaps(small, SYMBOL)
    bounds = holes[["from_ns", "until_ns"]].to_numpy().tolist()
    assert bounds == [[START_NS + 2 * STEP_NS, START_NS + 3 * STEP_NS]]


def test_planted_traps_of_the_future_change_nothing(small: str) -> None:
    """What comes after an instant, by a nanosecond, is not in its state."""
    before = load_features(small, SYMBOL, every="1ms", columns=["mid_price", "ofi"])
    insert(
        small,
        "hot",
        {
            "timestamp": [iso(START_NS + STEP_NS + 1)],
            "symbol": [SYMBOL],
            "exchange": ["bybit"],
            "mid_price": [1e9],
            "data_source": ["simulator"],
            "received_at_ns": [START_NS + STEP_NS + 1],
            "segment_id": [FIRST_SEGMENT],
            "depth": [50],
            "ofi": [1e9],
        },
    )
    after = load_features(small, SYMBOL, every="1ms", columns=["mid_price", "ofi"])
    pd.testing.assert_frame_equal(after.iloc[:2], before.iloc[:2])
    assert after["ofi"].iloc[2] == 1e9 + 1.0


def test_the_exchange_s_time_on_request(small: str) -> None:
    frame = load_features(small, SYMBOL, index="exchange_timestamp", columns=["mid_price"])
    assert frame.index.name == "exchange_timestamp"
    assert ns(frame) == [START_NS + place * STEP_NS for place in range(6)]


@pytest.mark.parametrize("every", [None, "1ms"])
def test_other_libraries_get_the_same(small: str, every: str | None) -> None:
    pytest.importorskip("polars")
    frame = load_features(small, SYMBOL, every=every)
    table = load_features(small, SYMBOL, every=every, output="arrow")
    polars = load_features(small, SYMBOL, every=every, output="polars")
    assert table.column_names == polars.columns == ["received_at", *frame.columns]
    assert table["received_at"].cast("int64").to_pylist() == ns(frame)
    for name in ("mid_price", "segment", "sequence", "data_source"):
        told = [None if pd.isna(value) else value for value in frame[name].tolist()]
        assert table[name].to_pylist() == polars[name].to_list() == told


def test_what_is_left_open_is_asked_for(small: str) -> None:
    at = [Row(START_NS, 9, 1.0)]
    write(small, Stored(at, {9: START_NS}), Facts(depth=200))
    assert len(load_features(small, SYMBOL, depth=200)) == 1
    write(small, Stored(at), Facts(depth=200, source="live_trading"))
    with pytest.raises(QueryError, match="more than one data_source"):
        load_features(small, SYMBOL, depth=200)
    mix = load_features(small, SYMBOL, depth=200, data_source="*")
    assert sorted(mix["data_source"]) == ["live_trading", "simulator"]
    assert len(load_features(small, SYMBOL, depth=200, data_source=["live_trading"])) == 1
    write(small, Stored(at), Facts(exchange="binance"))
    with pytest.raises(QueryError, match="more than one exchange: binance, bybit; say which"):
        load_features(small, SYMBOL)


def test_the_exchange_s_own_name_will_do_where_it_means_one_market(small: str) -> None:
    assert len(load_features(small, "BTCUSDT")) == 6
    write(small, Stored([Row(START_NS, None, 1.0)]), Facts(symbol="BTC/USDT"))
    with pytest.raises(QueryError, match="may mean BTC/USDT or BTC/USDT:USDT"):
        load_features(small, "BTCUSDT")


def test_an_ingestor_tells_its_database(small: str) -> None:
    class Ingestor:
        database_url = small

    assert len(load_features(Ingestor(), SYMBOL)) == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"symbol": "DOGE/USDT"}, "symbols here: BTC/USDT:USDT"),
        ({"exchange": "kraken"}, "its exchanges here: bybit"),
        ({"on_gap": "skip"}, "expected mask, split, raise or ignore"),
        ({"columns": ["mid"]}, "the table has no column mid"),
        ({"every": "soon"}, "expected a duration"),
        ({"every": "0s"}, "expected a duration"),
        ({"start": "yesterdayish"}, "expected an instant"),
        ({"start": START_NS + 1, "end": START_NS}, "is before start"),
        ({"min_quality": 7}, "from 0 to 1"),
        ({"min_quality": "high"}, "min_quality is 'high'; expected a number from 0 to 1"),
        ({"output": "excel"}, "expected pandas, polars, arrow"),
        ({"index": "open_time"}, "expected received_at or exchange_timestamp"),
        ({"every": "1s", "index": "exchange_timestamp"}, "what was known then"),
        ({"table_name": "other"}, "has no table other"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_is_expected(
    small: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(QueryError, match=words):
        load_features(small, **{"symbol": SYMBOL, **arguments})


def test_a_database_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="there is no database"):
        load_features(tmp_path / "none.db", SYMBOL)
    (tmp_path / "text.db").write_text("this is no database, but it is long enough to look at" * 50)
    with pytest.raises(QueryError, match="cannot be read as a database"):
        load_features(tmp_path / "text.db", SYMBOL)


def test_nothing_in_the_span_is_an_empty_frame(small: str) -> None:
    for every in (None, "1ms"):
        frame = load_features(small, SYMBOL, start="2020-01-01", end="2020-01-02", every=every)
        assert len(frame) == 0
        assert frame.index.tz is not None
