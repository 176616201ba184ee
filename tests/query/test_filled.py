"""Reading what REST brought afterwards: where it stands, what it fills, and when it was known."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file
from ready_tables import lay_tables
from two_origins import BEGIN_MS, LAG_NS, MINUTE_MS, MINUTES, NS_A_MS, SYMBOL, TRADES, TwoOrigins

from collector import coverage, gaps, labels, load_ohlcv, load_trades, windows
from collector.errors import QueryError
from collector.query.stretches import instants

S = 1_000
LATER_MS = BEGIN_MS + 24 * 3_600 * S
BROKEN_MS, BACK_MS, LAST_MS = BEGIN_MS + 10 * S, BEGIN_MS + 20 * S, BEGIN_MS + 30 * S


@pytest.fixture
def both(any_database: str) -> Iterator[TwoOrigins]:
    made = TwoOrigins(lay_tables(any_database))
    yield made
    made.stop()


def broken(both: TwoOrigins) -> tuple[int, int]:
    """Store live trades 1 to 10 and 21 to 30, one a second; those between were missed."""
    first = both.open(TRADES, BEGIN_MS)
    both.trades(first, [(number, BEGIN_MS + number * S) for number in range(1, 11)])
    both.close(first, BROKEN_MS + 100, "disconnect")
    second = both.open(TRADES, BACK_MS + 500)
    both.trades(second, [(number, BEGIN_MS + number * S) for number in range(21, 31)])
    both.close(second, LAST_MS + 500, "stop")
    both.flush()
    return first, second


def fill(
    both: TwoOrigins, numbers: range, kind: str = "trade", until_ms: int = BACK_MS + 1_500, first: int = 0
) -> int:
    """Let REST fill the hole, and a little more."""
    filled = both.open(TRADES, BROKEN_MS - 500, "rest")
    wanted = [(first + number, BEGIN_MS + number * S) for number in numbers]
    both.trades(filled, wanted, LATER_MS, kind=kind)
    both.close(filled, until_ms, "filled")
    both.flush()
    return filled


def ids(frame: pd.DataFrame) -> list[int]:
    return [int(one) for one in frame["trade_id"]]


def at_ms(frame: pd.DataFrame) -> list[float]:
    return [one / NS_A_MS - BEGIN_MS for one in instants(frame).tolist()]


def test_loaders_cross_from_live_to_filled_and_back(both: TwoOrigins) -> None:
    first, second = broken(both)
    with pytest.raises(QueryError, match="there is a hole before"):
        load_trades(both.url, SYMBOL, on_gap="raise")
    filled = fill(both, range(10, 22))  # the 10th and the 21st came live as well
    frame = load_trades(both.url, SYMBOL, on_gap="raise", columns=["trade_id", "origin"])
    assert ids(frame) == list(range(1, 31))
    assert frame["segment"].tolist() == [first] * 10 + [filled] * 10 + [second] * 10
    assert [one == "rest" for one in frame["origin"]] == [False] * 10 + [True] * 10 + [False] * 10
    assert at_ms(frame)[9:21:10] == [10_005, 20_000]
    (whole,) = load_trades(both.url, SYMBOL, on_gap="split")
    assert ids(whole) == list(range(1, 31))
    assert len(gaps(both.url)) == 0


@in_a_file
def test_a_hole_that_is_filled_in_part_stays_one(both: TwoOrigins) -> None:
    broken(both)
    fill(both, range(10, 15), until_ms=BEGIN_MS + 14_900)
    parts = load_trades(both.url, SYMBOL, on_gap="split")
    assert [ids(part) for part in parts] == [list(range(1, 15)), list(range(21, 31))]
    (hole,) = gaps(both.url).to_dict(orient="records")
    assert (hole["from_ns"], hole["until_ns"]) == (
        (BEGIN_MS + 14_900) * NS_A_MS,
        (BACK_MS + 500) * NS_A_MS,
    )
    assert hole["cause"] == "disconnect"  # still why it is one
    assert coverage(both.url)["how"].tolist() == ["live", "filled", "live"]


@in_a_file
def test_by_receipt_nothing_was_filled_before_it_came(both: TwoOrigins) -> None:
    broken(both)
    fill(both, range(10, 22))
    told = load_trades(both.url, SYMBOL, index="received_at", end=LATER_MS * NS_A_MS)
    assert ids(told) == [*range(1, 11), *range(21, 31)]
    told = load_trades(both.url, SYMBOL, index="received_at")
    assert ids(told) == [*range(1, 11), *range(21, 31), *range(11, 21)]
    assert set(instants(told)[-10:].tolist()) == {LATER_MS * NS_A_MS}
    told = load_trades(both.url, SYMBOL, index="received_at", start=LATER_MS * NS_A_MS)
    assert ids(told) == list(range(11, 21))


@in_a_file
def test_either_origin_may_be_chosen(both: TwoOrigins) -> None:
    broken(both)
    fill(both, range(10, 22))
    assert ids(load_trades(both.url, SYMBOL, origin="rest")) == list(range(11, 21))
    assert ids(load_trades(both.url, SYMBOL, origin="live")) == [*range(1, 11), *range(21, 31)]
    assert ids(load_trades(both.url, SYMBOL, origin="rest", index="received_at")) == list(range(11, 21))
    with pytest.raises(QueryError, match="expected live or rest"):
        load_trades(both.url, SYMBOL, origin="ws")  # type: ignore[arg-type]


@in_a_file
def test_a_span_is_of_where_rows_stand(both: TwoOrigins) -> None:
    broken(both)
    fill(both, range(10, 22))
    start, end = (BEGIN_MS + 15 * S) * NS_A_MS, (BEGIN_MS + 22 * S) * NS_A_MS
    assert ids(load_trades(both.url, SYMBOL, start=start, end=end)) == list(range(15, 22))


def test_aggregates_count_where_single_trades_are_missing_and_only_there(both: TwoOrigins) -> None:
    broken(both)
    fill(both, range(10, 22), "agg", first=9_000)
    frame = load_trades(both.url, SYMBOL, on_gap="raise", columns=["trade_id", "kind"])
    assert ids(frame) == [*range(1, 11), *range(9_011, 9_021), *range(21, 31)]
    assert frame["kind"].astype(str).tolist() == ["trade"] * 10 + ["agg"] * 10 + ["trade"] * 10
    assert ids(load_trades(both.url, SYMBOL, kind="trade")) == [*range(1, 11), *range(21, 31)]
    assert ids(load_trades(both.url, SYMBOL, kind="agg")) == list(range(9_010, 9_022))


@in_a_file
def test_aggregates_that_are_fetched_again_still_count(both: TwoOrigins) -> None:
    """A second fill of the same stretch finds all of it there: it covers no single trade."""
    broken(both)
    for _ in range(2):
        fill(both, range(10, 22), "agg", first=9_000)
    assert ids(load_trades(both.url, SYMBOL)) == [*range(1, 11), *range(9_011, 9_021), *range(21, 31)]
    fill(both, range(10, 22))  # and once the single trades are there, they are taken
    assert ids(load_trades(both.url, SYMBOL)) == list(range(1, 31))


@in_a_file
def test_aggregates_that_came_live_beside_trades_are_asked_for(both: TwoOrigins) -> None:
    broken(both)
    aggregates = both.open(TRADES, LATER_MS)
    both.trades(aggregates, [(9_500, LATER_MS + 1)], kind="agg")
    both.flush()
    fill(both, range(10, 22), "agg", first=9_000)
    with pytest.raises(QueryError, match="say which: kind="):
        load_trades(both.url, SYMBOL)


@in_a_file
def test_windows_and_labels_go_over_a_seam_and_over_no_hole(both: TwoOrigins) -> None:
    broken(both)
    with_hole = load_trades(both.url, SYMBOL)
    assert windows(with_hole, 5, columns=["price"]).last.tolist() == [*range(4, 10), *range(14, 20)]
    fill(both, range(10, 22))
    frame = load_trades(both.url, SYMBOL)
    assert windows(frame, 5, columns=["price"]).last.tolist() == list(range(4, 30))
    assert labels(frame, 5, price="price")["move_bps"].notna().sum() == 25
    by_receipt = load_trades(both.url, SYMBOL, index="received_at")
    assert windows(by_receipt, 5, columns=["price"]).last.tolist() == [
        *(*range(4, 10), *range(14, 20)),
        *range(24, 30),
    ]


def bars_of(frame: pd.DataFrame) -> list[tuple[int, float]]:
    opens_ms = frame["open_time"].astype("int64") // 1_000_000 - BEGIN_MS
    return list(zip(opens_ms, frame["close"], strict=True))


def test_bars_that_rest_brought_stand_at_their_end(both: TwoOrigins) -> None:
    opens = [BEGIN_MS + number * MINUTE_MS for number in range(4)]
    live = both.open(MINUTES, BEGIN_MS)
    both.bars(live, [opens[0], opens[3]])
    filled = both.open(MINUTES, BEGIN_MS, "rest")
    both.bars(filled, opens[:3], LATER_MS)
    both.close(filled, opens[3], "filled")
    both.flush()
    frame = load_ohlcv(both.url, SYMBOL, columns=["open_time", "close", "origin"])
    assert at_ms(frame) == [60_005, 120_000, 180_000, 240_005]
    assert [pd.isna(one) for one in frame["origin"]] == [True, False, False, True]
    assert at_ms(load_ohlcv(both.url, SYMBOL, index="received_at")) == [
        *(60_005, 240_005),
        *[LATER_MS - BEGIN_MS] * 2,
    ]
    known = load_ohlcv(both.url, SYMBOL, as_of=LATER_MS * NS_A_MS - 1)
    assert bars_of(known) == [(0, 100.0), (180_000, 100.0)]
    assert len(load_ohlcv(both.url, SYMBOL, as_of=LATER_MS * NS_A_MS)) == 4
    assert len(load_ohlcv(both.url, SYMBOL, origin="rest")) == 2
    assert at_ms(load_ohlcv(both.url, SYMBOL, end=(BEGIN_MS + 121_000) * NS_A_MS)) == [60_005, 120_000]


@in_a_file
def test_a_correction_by_rest_is_known_from_its_receipt(both: TwoOrigins) -> None:
    live = both.open(MINUTES, BEGIN_MS)
    both.bars(live, [BEGIN_MS])
    filled = both.open(MINUTES, BEGIN_MS, "rest")
    both.bars(filled, [BEGIN_MS], LATER_MS, close=103.0)
    both.flush()
    (latest,) = load_ohlcv(both.url, SYMBOL).to_dict(orient="records")
    assert (latest["close"], latest["corrected"]) == (103.0, 1)
    before = load_ohlcv(both.url, SYMBOL, as_of=LATER_MS * NS_A_MS - 1)
    assert bars_of(before) == [(0, 100.0)]
    assert instants(before).tolist() == [(BEGIN_MS + MINUTE_MS) * NS_A_MS + LAG_NS]
