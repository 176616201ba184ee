"""Trades beside the best prices: a sweep is no contradiction, trades that go on elsewhere are."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.book.bridged import BridgedBook
from collector.book.verified import Did
from collector.errors import FrameError
from collector.events.messages import Delta, TradeMessage
from collector.exchanges.binance.frames import read_frame, read_snapshot
from collector.exchanges.binance.rule import rule_of
from collector.exchanges.exchange import MarketKind
from collector.streams.comparisons import SLOT_NS, TradesAtTheTouch

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from made_binance import made


def trade_on(touch: TradesAtTheTouch, first_s: int, seconds: int, price: float) -> tuple[int, bool]:
    """Trade three times a second; return what was compared in all, and whether the book is contradicted."""
    compared, contradicted = 0, False
    for second in range(first_s, first_s + seconds):
        for part in range(3):
            more, wrong = touch.traded(second * SLOT_NS + part * SLOT_NS // 4, price)
            compared, contradicted = compared + more, contradicted or wrong
    return compared, contradicted


def quoted(seconds: int = 60) -> TradesAtTheTouch:
    touch = TradesAtTheTouch()
    for second in range(seconds):
        touch.of_book(second * SLOT_NS, 100.0, 101.0)
    return touch


@pytest.mark.parametrize("price", [100.0, 100.5, 101.0, 99.6, 101.4])
def test_trades_at_or_near_the_best_prices_agree(price: float) -> None:
    compared, contradicted = trade_on(quoted(3), 2, 20, price)
    assert compared >= 50
    assert not contradicted


@pytest.mark.parametrize("price", [99.0, 102.0])
def test_trades_that_go_on_far_away_contradict(price: float) -> None:
    assert trade_on(quoted(3), 2, 8, price)[1]


def test_a_sweep_of_some_seconds_does_not() -> None:
    touch = quoted(3)
    assert not trade_on(touch, 2, 4, 90.0)[1]
    assert not trade_on(touch, 6, 10, 100.5)[1]


def test_a_price_that_the_book_follows_does_not() -> None:
    touch = TradesAtTheTouch()
    for second in range(40):
        price = 100.0 - second
        touch.of_book(second * SLOT_NS, price - 0.5, price + 0.5)
        assert not trade_on(touch, second, 1, price)[1]


def test_nothing_is_compared_without_a_book_or_after_it_was_lost() -> None:
    touch = TradesAtTheTouch()
    assert trade_on(touch, 0, 20, 1.0) == (0, False)
    touch = quoted(3)
    touch.forget()
    assert trade_on(touch, 5, 20, 1.0) == (0, False)


def test_memory_is_bounded() -> None:
    assert len(quoted(1000)._slots) < 20


RECORDED = [("spot", recordings.BINANCE_SPOT, 14_000), ("linear", recordings.BINANCE_LINEAR, 10_000)]


@pytest.mark.parametrize(
    ("frames", "kind", "trades"),
    [
        pytest.param(lambda: made("spot", 41, deltas=500).texts, "spot", 100, id="made spot"),
        pytest.param(lambda: made("linear", 42, deltas=500).texts, "linear", 100, id="made linear"),
        *recordings.in_two_lengths(RECORDED, lambda _: 500),
    ],
)
@pytest.mark.parametrize("moved_by", [1.0, 1.02, 0.98])
def test_trades_contradict_nothing_unless_their_prices_are_of_another_market(
    frames: Callable[[], list[tuple[int, str]]], kind: MarketKind, trades: int, moved_by: float
) -> None:
    book, touch = BridgedBook(rule_of(kind, "book.1000", {}), 1000), TradesAtTheTouch()
    book.fetching = 1
    compared, contradicted = 0, 0
    for received_at_ns, text in frames():
        if '"lastUpdateId"' in text[:20]:
            book.apply_snapshot(read_snapshot(text, "x"))
            book.fetching = 0
            continue
        try:
            (message,) = read_frame(text)
        except FrameError:
            continue
        if isinstance(message, Delta) and book.apply_delta(message).did is Did.CONTINUED:
            bid, _, ask, _ = book.book.top(1)
            touch.of_book(received_at_ns, bid, ask)
        elif isinstance(message, TradeMessage):
            more, is_wrong = touch.traded(received_at_ns, message.price * moved_by)
            compared, contradicted = compared + more, contradicted + is_wrong
    assert compared >= trades
    assert bool(contradicted) is (moved_by != 1.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["quoted", "quoted", "traded", "forget"]),
            st.sampled_from([0, 0, SLOT_NS // 2, SLOT_NS, 4 * SLOT_NS, -3 * SLOT_NS]),
            st.sampled_from([98.0, 99.0, 100.0, 103.0]),
        ),
        max_size=60,
    )
)
@example([("quoted", 0, 100.0), ("traded", 4 * SLOT_NS, 100.0), ("quoted", -4 * SLOT_NS, 99.0)])
def test_the_second_that_is_not_looked_up_again_is_the_one_that_is_meant(
    happens: list[tuple[str, int, float]],
) -> None:
    kept, looked_up, at_ns = TradesAtTheTouch(), TradesAtTheTouch(), 100 * SLOT_NS
    for what, later_ns, price in happens:
        at_ns += later_ns
        looked_up._newest_number = None
        if what == "quoted":
            kept.of_book(at_ns, price, price + 1.0)
            looked_up.of_book(at_ns, price, price + 1.0)
        elif what == "traded":
            assert kept.traded(at_ns, price) == looked_up.traded(at_ns, price)
        else:
            kept.forget()
            looked_up.forget()
        assert kept._slots == looked_up._slots
