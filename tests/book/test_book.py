"""The local book: levels in order, best first, nothing impossible let in."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.book.order_book import Ladder, OrderBook
from collector.errors import FrameError

PRICES = st.integers(1, 40).map(float)
LEVELS = st.lists(st.tuples(PRICES, st.integers(0, 3).map(float)), max_size=12)


@pytest.mark.parametrize("examples", [25, pytest.param(500, marks=pytest.mark.proof)])
def test_a_ladder_is_a_sorted_dict(examples: int) -> None:
    @settings(max_examples=examples)
    @given(st.lists(LEVELS, max_size=8))
    def whatever_comes(messages: list[list[tuple[float, float]]]) -> None:
        check_ladder(messages)

    whatever_comes()


def check_ladder(messages: list[list[tuple[float, float]]]) -> None:
    ladder, oracle = Ladder(), {}
    for levels in messages:
        ladder.update(levels)
        for price, size in levels:
            oracle[price] = size
            if size == 0:
                del oracle[price]
    assert ladder.prices == sorted(oracle)
    assert ladder.sizes == oracle


@given(LEVELS, st.integers(1, 6))
def test_cutting_keeps_the_best(levels: list[tuple[float, float]], most: int) -> None:
    bids, asks = Ladder(), Ladder()
    bids.update(levels)
    asks.update(levels)
    everything = list(asks.prices)
    bids.cut_below(most)
    asks.cut_above(most)
    assert bids.prices == everything[-most:]
    assert asks.prices == everything[:most]
    assert set(bids.sizes) == set(bids.prices)
    assert set(asks.sizes) == set(asks.prices)


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        ((math.nan, 1.0), "not_finite"),
        ((1.0, math.nan), "not_finite"),
        ((math.inf, 1.0), "not_finite"),
        ((1.0, math.inf), "not_finite"),
        ((0.0, 1.0), "out_of_range"),
        ((-1.0, 1.0), "out_of_range"),
        ((1.0, -1.0), "out_of_range"),
        ((1e16, 1.0), "out_of_range"),
    ],
)
def test_impossible_numbers_are_refused(level: tuple[float, float], reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        Ladder().update([level])
    assert caught.value.reason == reason


def test_the_top_is_best_first_and_says_what_is_missing() -> None:
    book = OrderBook()
    book.replace([(99.0, 1.0), (100.0, 2.0), (98.0, 3.0)], [(101.0, 4.0)])
    assert book.top(2)[:4] == [100.0, 99.0, 2.0, 1.0]
    assert book.top(2)[4::2] == [101.0, 4.0]
    assert all(math.isnan(number) for number in book.top(2)[5::2])
    book.asks.update([(102.0, 5.0), (103.0, 6.0)])
    assert book.top(2) == [100.0, 99.0, 2.0, 1.0, 101.0, 102.0, 4.0, 5.0]


def test_books_are_equal_when_their_levels_are() -> None:
    ours, theirs = OrderBook(), OrderBook()
    assert ours == theirs
    for book in (ours, theirs):
        book.replace([(100.0, 1.0)], [(101.0, 1.0)])
    assert ours == theirs
    for bids, asks in (([(100.0, 2.0)], []), ([], [(101.0, 2.0)]), ([(99.0, 1.0)], [])):
        other = OrderBook()
        other.replace([(100.0, 1.0)], [(101.0, 1.0)])
        other.update(bids, asks)
        assert ours != other
    assert ours != "no book"
