"""What a bot is handed: features equal to the table's, bit for bit; times; ids."""

import sys
from datetime import UTC, datetime
from math import nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.events.market import Candle, L2Update, Trade
from collector.events.messages import Side
from collector.features.practical import Book, practical

sys.path.insert(0, str(Path(__file__).parents[1] / "features"))
from oracle import features, order_flow

Levels = list[tuple[float, float]]
numbers = st.floats(1e-9, 1e9)
sides = st.lists(st.tuples(numbers, numbers), max_size=12)


def flat(bids: Levels, asks: Levels, levels: int = 12) -> tuple[float, ...]:
    gap = [(nan, nan)] * levels
    bids, asks = [*bids, *gap][:levels], [*asks, *gap][:levels]
    return tuple(pair[part] for side in (bids, asks) for part in (0, 1) for pair in side)


def update(
    bids: Levels,
    asks: Levels,
    *,
    before: tuple[float, ...] | None = None,
    shown: int = 12,
    known: bool = True,
) -> L2Update:
    return L2Update(
        exchange="bybit",
        symbol="BTC/USDT",
        channel="book.50",
        exchange_ms=1_700_000_000_123,
        received_at_ns=1_700_000_000_123_456_789,
        sequence=7,
        segment_id=1,
        shown=shown,
        ten_known=known,
        numbers=flat(bids, asks),
        before=before,
    )


def bits(number: float | None) -> bytes:
    return np.float64(nan if number is None else number).tobytes()


@given(sides, sides, st.booleans())
def test_features_are_those_of_the_table_bit_for_bit(bids: Levels, asks: Levels, known: bool) -> None:
    ours = update(bids, asks, known=known)
    book = Book.of(np.array(ours.numbers).reshape(1, 4, -1))
    stored = practical(book, np.array([known]))
    by_hand = features(bids, asks, 10 if known else 5)
    assert set(by_hand) == set(stored)
    for name, column in stored.items():
        assert bits(getattr(ours, name)) == bits(float(column[0])), name
        assert bits(getattr(ours, name)) == bits(by_hand[name]), name


@given(sides, sides, sides, sides)
def test_order_flow_is_that_of_the_table(
    bids: Levels, asks: Levels, bids_after: Levels, asks_after: Levels
) -> None:
    before = update(bids, asks)
    after = update(bids_after, asks_after, before=before.numbers)
    assert bits(after.ofi) == bits(order_flow((bids, asks), (bids_after, asks_after), 1))
    assert before.ofi is None


def test_levels_are_pairs_the_best_first_as_many_as_were_asked_for() -> None:
    bids, asks = [(10.0, 1.0), (9.0, 2.0), (8.0, 3.0)], [(11.0, 4.0)]
    both = update(bids, asks, shown=2)
    assert both.bids == ((10.0, 1.0), (9.0, 2.0))
    assert both.asks == ((11.0, 4.0),)
    assert (both.best_bid, both.best_ask) == (10.0, 11.0)
    empty = update([], asks)
    assert empty.bids == ()
    assert (empty.best_bid, empty.bid_size_1, empty.mid_price) == (None, None, None)


def test_times_are_utc() -> None:
    one = update([], [])
    assert one.received_at == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    assert one.exchange_time == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)


def test_each_has_an_id_of_its_own_that_grows() -> None:
    trade = Trade(
        exchange="kraken",
        symbol="BTC/USD",
        exchange_ms=None,
        received_at_ns=1,
        trade_id="9",
        price=1.0,
        size=2.0,
        side=Side.BUY,
    )
    candle = Candle(
        exchange="kraken",
        symbol="BTC/USD",
        exchange_ms=None,
        received_at_ns=1,
        interval="1m",
        open_ms=60_000,
        open=1.0,
        high=2.0,
        low=0.5,
        close=1.5,
        volume=3.0,
        confirmed=False,
    )
    assert trade.id < candle.id < update([], []).id
    assert trade.side == "buy"
    assert trade.exchange_time is None
    with pytest.raises(AttributeError, match="immutable"):
        trade.price = 2.0  # type: ignore[misc]
