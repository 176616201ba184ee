"""The loader against a slow, obvious one, over random rows with holes."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import gaps, load_features
from collector.errors import QueryError
from collector.sinks.contract import Rows, SegmentState, SessionState, WriteSet
from collector.sinks.sql import SqlSink

SYMBOL = "BTC/USDT:USDT"
START_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_000


@dataclass(frozen=True)
class Row:
    at_ns: int
    segment: int
    mid: float
    ofi: float | None


@dataclass(frozen=True)
class Stored:
    rows: list[Row]
    alive_until_ns: dict[int, int]


def write(
    database: Path, stored: Stored, symbol: str = SYMBOL, depth: int = 50, source: str = "simulator"
) -> None:
    rows = stored.rows
    texts = [
        pd.Timestamp(row.at_ns // 1000 * 1000, tz="UTC").strftime("%Y-%m-%dT%H:%M:%S.%fZ") for row in rows
    ]
    columns = {
        "timestamp": texts,
        "symbol": [symbol] * len(rows),
        "exchange": ["bybit"] * len(rows),
        "mid_price": [row.mid for row in rows],
        "data_source": [source] * len(rows),
        "received_at_ns": [row.at_ns for row in rows],
        "segment_id": [row.segment for row in rows],
        "depth": [depth] * len(rows),
        "ofi": [row.ofi for row in rows],
    }
    segments = []
    for number, alive_until_ns in stored.alive_until_ns.items():
        own = [row.at_ns for row in rows if row.segment == number]
        segments.append(
            SegmentState(
                number,
                "s",
                "bybit",
                symbol,
                f"book.{depth}",
                own[0],
                own[-1],
                alive_until_ns,
                1,
                2,
                len(own),
                "sequence",
            )
        )
    sink = SqlSink(str(database), "l2_training_data_practical", synchronous="OFF", auto_migrate=False)
    sink.open()
    session = SessionState("s", START_NS, "0", "host", 1, "{}", START_NS, "stop")
    sink.write(WriteSet(f"{symbol}{depth}{source}", session, (Rows("book", columns),), tuple(segments)))
    sink.close()


@st.composite
def histories(draw: st.DrawFn) -> Stored:
    """Some segments, one after the other, each with rows and then a while alive."""
    at_ns = START_NS
    rows: list[Row] = []
    alive: dict[int, int] = {}
    for segment in range(1, draw(st.integers(1, 4)) + 1):
        for place in range(draw(st.integers(1, 6))):
            at_ns += draw(st.integers(1, 4)) * STEP_NS // 2
            mid = float(draw(st.integers(1, 1000)))
            rows.append(Row(at_ns, segment, mid, None if place == 0 else float(draw(st.integers(-5, 5)))))
        at_ns += draw(st.integers(0, 3)) * STEP_NS
        alive[segment] = at_ns
        at_ns += draw(st.integers(1, 4)) * STEP_NS
    return Stored(rows, alive)


def oracle(stored: Stored, edge_ns: int) -> tuple[float, int, float] | None:
    """The state at an instant: the last row at or before it, while its segment is alive."""
    before = [row for row in stored.rows if row.at_ns <= edge_ns]
    if not before or edge_ns > stored.alive_until_ns[before[-1].segment]:
        return None
    last = before[-1]
    flow = 0.0
    for row in before:
        if row.segment == last.segment and row.at_ns > edge_ns - STEP_NS and row.ofi is not None:
            flow += row.ofi
    return last.mid, last.segment, flow


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), cut=st.tuples(st.integers(0, 30), st.integers(1, 30)) | st.none())
def test_resampling_equals_the_oracle(tmp_path_factory: pytest.TempPathFactory, history: Stored, cut) -> None:  # noqa: ANN001
    database = tmp_path_factory.mktemp("loader") / "live.db"
    write(database, history)
    span = {}
    if cut is not None:
        span = {"start": START_NS + cut[0] * STEP_NS, "end": START_NS + (cut[0] + cut[1]) * STEP_NS}
    frame = load_features(database, SYMBOL, every="1ms", columns=["mid_price", "ofi"], **span)
    assert isinstance(frame, pd.DataFrame)
    edges = frame.index.as_unit("ns").asi8.tolist()
    if cut is not None and any(row.at_ns < span["end"] for row in history.rows):
        assert edges == list(range(span["start"], span["end"], STEP_NS))
    for edge_ns, (_, found) in zip(edges, frame.iterrows(), strict=True):
        expected = oracle(history, edge_ns)
        if expected is None:
            assert found.isna().all()
        else:
            assert (found["mid_price"], found["segment"], found["ofi"]) == expected
    parts = load_features(database, SYMBOL, every="1ms", on_gap="split", **span)
    assert sum(len(part) for part in parts) == sum(oracle(history, edge_ns) is not None for edge_ns in edges)
    for part in parts:
        assert set(part["segment"]) == {part["segment"].iloc[0]}
        assert (part.index.as_unit("ns").asi8[1:] - part.index.as_unit("ns").asi8[:-1] == STEP_NS).all()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), cut=st.tuples(st.integers(0, 30), st.integers(0, 30)))
def test_rows_are_those_of_the_half_open_interval(
    tmp_path_factory: pytest.TempPathFactory, history: Stored, cut: tuple[int, int]
) -> None:
    database = tmp_path_factory.mktemp("loader") / "live.db"
    write(database, history)
    start, end = START_NS + cut[0] * STEP_NS // 2, START_NS + (cut[0] + cut[1]) * STEP_NS // 2
    frame = load_features(database, SYMBOL, start=start, end=end)
    assert isinstance(frame, pd.DataFrame)
    expected = [row for row in history.rows if start <= row.at_ns < end]
    assert frame.index.as_unit("ns").asi8.tolist() == [row.at_ns for row in expected]
    assert frame["mid_price"].tolist() == [row.mid for row in expected]
    assert frame["segment"].tolist() == [row.segment for row in expected]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    database = tmp_path / "live.db"
    rows = [Row(START_NS + place * STEP_NS, 1 + place // 3, 100.0 + place, 1.0) for place in range(6)]
    write(database, Stored(rows, {1: rows[2].at_ns, 2: rows[5].at_ns}))
    return database


def test_a_hole_has_its_bounds(small: Path) -> None:
    holes = gaps(small, SYMBOL)
    assert holes[["from_ns", "until_ns"]].to_numpy().tolist() == [
        [START_NS + 2 * STEP_NS, START_NS + 3 * STEP_NS]
    ]


def test_what_is_left_open_is_asked_for(small: Path) -> None:
    rows = [Row(START_NS, 9, 1.0, None)]
    write(small, Stored(rows, {9: START_NS}), depth=200)
    with pytest.raises(QueryError, match="more than one depth: 200, 50; say which"):
        load_features(small, SYMBOL)
    assert len(load_features(small, SYMBOL, depth=200)) == 1
    write(small, Stored([Row(START_NS, 10, 1.0, None)], {10: START_NS}), depth=200, source="live_trading")
    with pytest.raises(QueryError, match="more than one data_source"):
        load_features(small, SYMBOL, depth=200)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"symbol": "DOGE/USDT"}, "symbols here: BTC/USDT:USDT"),
        ({"on_gap": "skip"}, "expected mask, split, raise or ignore"),
        ({"columns": ["mid"]}, "the table has no column mid"),
        ({"every": "soon"}, "expected a duration"),
        ({"every": "0s"}, "expected a duration"),
        ({"start": "yesterdayish"}, "expected an instant"),
        ({"table_name": "other"}, "has no table other"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_is_expected(small: Path, arguments, words: str) -> None:  # noqa: ANN001
    with pytest.raises(QueryError, match=words):
        load_features(small, **{"symbol": SYMBOL, **arguments})


def test_a_database_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="there is no database"):
        load_features(tmp_path / "none.db", SYMBOL)
    (tmp_path / "text.db").write_text("this is no database, but it is long enough to look at" * 50)
    with pytest.raises(QueryError, match="cannot be read as a database"):
        load_features(tmp_path / "text.db", SYMBOL)
