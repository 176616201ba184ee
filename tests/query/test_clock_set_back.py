"""A clock that is set back leaves two stretches over one time: loaders refuse them, or take them apart."""

import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from collector import gaps, iter_features, labels, load_features, load_ohlcv, load_trades
from collector.errors import QueryError
from collector.query import loading

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, STEP_NS, SYMBOL, Facts, Row, Stored, cover, insert, iso, prepare, write

BEFORE, AHEAD, AFTER, LATER = 11, 12, 13, 14  # segments, in the order in which they were seen


def row(place: float, segment: int, mid: float) -> Row:
    return Row(START_NS + int(place * STEP_NS), segment, mid, 1.0)


def history() -> Stored:
    """The clock runs right, then 20 steps ahead, then is set right again: rows 30 to 34 are twice."""
    rows = [
        *(row(place, BEFORE, 100.0 + place) for place in range(5)),
        *(row(30 + place, AHEAD, 200.0 + place) for place in range(5)),
        *(row(15 + place + 0.5, AFTER, 300.0 + place) for place in range(25)),
        *(row(50 + place, LATER, 400.0 + place) for place in range(3)),
    ]
    until = {BEFORE: 5, AHEAD: 35, AFTER: 42, LATER: 55}
    return Stored(rows, {number: START_NS + place * STEP_NS for number, place in until.items()})


@pytest.fixture
def stepped(stored_file: str) -> str:
    write(stored_file, history())
    return stored_file


def mids(frame: pd.DataFrame) -> list[float]:
    return list(frame["mid_price"])


@pytest.mark.parametrize(
    ("every", "on_gap"),
    [
        *((None, "mask"), ("1ms", "mask"), ("1s", "raise"), (None, "ignore")),
        *(
            pytest.param(every, on_gap, marks=pytest.mark.proof)
            for every, on_gap in (
                *((None, "raise"), ("1ms", "raise"), ("1ms", "ignore")),
                *(("1s", "mask"), ("1s", "ignore")),
            )
        ),
    ],
)
def test_two_stretches_of_one_time_are_not_mixed(stepped: str, on_gap: Any, every: str | None) -> None:
    begin, end = (iso(START_NS + place * STEP_NS)[:-1] for place in (30, 35))
    words = (
        f"from {begin[:-3]}.* to {end[:-3]}.* two segments of {SYMBOL} book.50 overlap, 13 and 12: the clock"
    )
    with pytest.raises(QueryError, match=words) as caught:
        load_features(stepped, SYMBOL, every=every, on_gap=on_gap)
    assert 'on_gap="split" takes them apart' in str(caught.value)
    with pytest.raises(QueryError, match=words):
        list(iter_features(stepped, SYMBOL, every=every, on_gap=on_gap))


@pytest.mark.parametrize("read", [load_features, iter_features])
@pytest.mark.parametrize("piece", [3, 1000])
def test_on_request_each_stretch_comes_whole_and_alone(
    stepped: str, monkeypatch: pytest.MonkeyPatch, read: Any, piece: int
) -> None:
    monkeypatch.setattr(loading, "PIECE_ROWS", piece)
    told: dict[int, list[float]] = {}
    for part in read(stepped, SYMBOL, on_gap="split"):
        (segment,) = set(part["segment"])
        told.setdefault(segment, []).extend(mids(part))
        assert part.index.is_monotonic_increasing
    wanted = {number: [one.mid for one in history().rows if one.segment == number] for number in told}
    assert told == wanted
    assert list(told) == [BEFORE, AFTER, AHEAD, LATER]


@pytest.mark.parametrize("read", [load_features, iter_features])
def test_no_state_is_carried_from_one_stretch_into_the_other(stepped: str, read: Any) -> None:
    told: dict[int, list[pd.DataFrame]] = {}
    for part in read(stepped, SYMBOL, every="1ms", on_gap="split"):
        (segment,) = set(part["segment"])
        told.setdefault(segment, []).append(part)
    assert list(told) == [BEFORE, AFTER, AHEAD, LATER]
    before, after, ahead, later = (pd.concat(parts) for parts in told.values())
    assert mids(after) == [300.0 + place for place in range(25)] + [324.0] * 2
    assert mids(ahead) == [200.0 + place for place in range(5)] + [204.0]
    assert list(ahead["ofi"]) == [1.0] * 5 + [0.0]
    assert (len(before), len(later)) == (6, 3)


def test_a_part_of_both_is_taken_apart_as_well(stepped: str) -> None:
    span: dict[str, Any] = {"start": START_NS + 32 * STEP_NS, "end": START_NS + 38 * STEP_NS}
    after, ahead = load_features(stepped, SYMBOL, on_gap="split", **span)
    assert mids(after) == [317.0 + place for place in range(6)]
    assert mids(ahead) == [202.0, 203.0, 204.0]
    after, ahead = load_features(stepped, SYMBOL, on_gap="split", every="1ms", **span)
    assert mids(after) == [316.0 + place for place in range(6)]
    assert mids(ahead) == [202.0, 203.0, 204.0, 204.0]


def test_a_span_beside_is_read_as_ever(stepped: str) -> None:
    assert len(load_features(stepped, SYMBOL, end=START_NS + 30 * STEP_NS)) == 5 + 15
    assert len(load_features(stepped, SYMBOL, start=START_NS + 36 * STEP_NS)) == 4 + 3


def test_a_segment_that_goes_on_is_read_to_its_newest_row(tmp_path: Path) -> None:
    path = prepare(str(tmp_path / "open.db"))
    kept = [one for one in history().rows if one.segment in (AHEAD, AFTER)]
    write(path, Stored(kept, {number: history().alive_until_ns[number] for number in (AHEAD, AFTER)}))
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE collector_coverage SET end_cause = NULL WHERE segment_id = {AFTER}")
    connection.close()
    pieces = iter_features(path, SYMBOL, on_gap="split")
    first = next(pieces)
    write(path, Stored([row(60, AFTER, 360.0), row(61, LATER, 461.0)]))  # while the caller works
    rest = [value for piece in pieces for value in mids(piece)]
    assert mids(first)[0] == 300.0
    assert rest[-1] == 461.0


def test_segments_of_other_streams_do_not_count(any_stored: str) -> None:
    """Two depths, or two sources, of one symbol are collected side by side."""
    kept = [one for one in history().rows if one.segment == AHEAD]
    mine = Stored(kept, {AHEAD: history().alive_until_ns[AHEAD]})
    write(any_stored, mine)
    beside = Stored([replace(one, segment=90) for one in kept], {90: history().alive_until_ns[AHEAD]})
    write(any_stored, beside, Facts(source="demo"))
    other = Stored([replace(one, segment=91) for one in kept], {91: history().alive_until_ns[AHEAD]})
    write(any_stored, other, Facts(depth=200))
    assert len(load_features(any_stored, SYMBOL, depth=50, data_source="simulator", on_gap="raise")) == 5
    assert len(load_features(any_stored, SYMBOL, depth=50, data_source="*")) == 10


def keep(url: str, table: str, channel: str, own: dict[str, list[Any]], **same: Any) -> None:
    """Store the history as rows of another table."""
    rows = history().rows
    columns: dict[str, list[Any]] = {
        "timestamp": [iso(one.at_ns) for one in rows],
        "received_at_ns": [one.at_ns for one in rows],
        "segment_id": [one.segment for one in rows],
        **own,
    }
    same = {"symbol": SYMBOL, "exchange": "bybit", "data_source": "simulator", **same}
    insert(url, table, {**columns, **{name: [value] * len(rows) for name, value in same.items()}})
    cover(url, history(), channel, Facts())


def test_trades_are_not_mixed_either(any_stored: str) -> None:
    ids = {"trade_id": [str(place) for place, _ in enumerate(history().rows)]}
    keep(any_stored, "trades", "trade", ids, kind="trade", price=1.0, size=1.0, side="buy")
    with pytest.raises(QueryError, match=r"two segments of .* trade overlap"):
        load_trades(any_stored, SYMBOL)
    assert [len(part) for part in load_trades(any_stored, SYMBOL, on_gap="split")] == [5, 25, 5, 3]


def test_bars_are_known_by_no_clock_that_was_set_back(any_stored: str) -> None:
    times = {"open_time": [place * 60_000 for place, _ in enumerate(history().rows)]}
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)
    keep(any_stored, "ohlcv", "ohlcv.1m", times, interval="1m", confirmed=1, **prices)
    questions: tuple[dict[str, Any], ...] = ({}, {"index": "open_time", "as_of": START_NS + 40 * STEP_NS})
    for question in questions:
        with pytest.raises(QueryError, match=r'ohlcv.1m overlap.*index="open_time" does not ask'):
            load_ohlcv(any_stored, SYMBOL, **question)
    assert len(load_ohlcv(any_stored, SYMBOL, index="open_time")) == len(history().rows)


def test_what_was_read_apart_is_not_joined_by_labels(stepped: str) -> None:
    joined: pd.DataFrame = pd.concat(load_features(stepped, SYMBOL, on_gap="split"))
    with pytest.raises(QueryError, match="goes back"):
        labels(joined, "2ms")


def test_a_hole_is_what_no_segment_covers(stepped: str) -> None:
    """The stretch that reaches further counts, not the one that began last."""
    holes = gaps(stepped, SYMBOL)
    bounds = [(one - START_NS) / STEP_NS for one in holes[["from_ns", "until_ns"]].to_numpy().ravel()]
    assert bounds == [5.0, 15.5, 42.0, 50.0]


def test_a_time_to_come_by_the_clock_of_before_is_no_hole_yet(stored_file: str) -> None:
    kept = [one for one in history().rows if one.segment in (BEFORE, AHEAD)]
    write(stored_file, Stored(kept, {number: history().alive_until_ns[number] for number in (BEFORE, AHEAD)}))
    with sqlite3.connect(stored_file) as connection:
        connection.execute(f"UPDATE collector_coverage SET end_cause = NULL WHERE segment_id = {BEFORE}")
        connection.execute(
            f"UPDATE collector_coverage SET end_cause = 'clock_step' WHERE segment_id = {AHEAD}"
        )
    connection.close()
    assert not len(gaps(stored_file, SYMBOL))
