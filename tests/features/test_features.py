"""Features equal a slow scalar implementation, bit for bit, in any batch size."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.book.book import OrderBook
from collector.features.flow import OrderFlow
from collector.features.practical import Book, practical
from collector.features.quality import quality

sys.path.insert(0, str(Path(__file__).parent))
from oracle import Levels, features, order_flow

LEVELS_A_ROW = 10
SIZES = st.floats(1e-8, 1e8)


def side(low: float, high: float) -> st.SearchStrategy[Levels]:
    prices = st.lists(st.floats(low, high), unique=True, max_size=13)
    return prices.flatmap(
        lambda some: st.tuples(*(st.tuples(st.just(price), SIZES) for price in some)).map(list)
    )


BOOKS = st.tuples(side(1.0, 50.0), side(50.5, 100.0), st.sampled_from([1, 5, 10, 50]))
Case = tuple[Levels, Levels, int]


def flat(cases: list[Case]) -> Book:
    numbers: list[float] = []
    for bids, asks, _ in cases:
        book = OrderBook()
        book.replace(bids, asks)
        numbers += book.top(LEVELS_A_ROW)
    return Book.from_flat(np.array(numbers), LEVELS_A_ROW)


def same(left: float, right: float) -> bool:
    return left == right or (left != left and right != right)  # noqa: PLR0124


@given(st.lists(BOOKS, min_size=1, max_size=8))
def test_features_equal_the_oracle(cases: list[Case]) -> None:
    computed = practical(flat(cases), np.array([depth >= 10 for _, _, depth in cases]))
    for row, (bids, asks, depth) in enumerate(cases):
        expected = features(sorted(bids, reverse=True), sorted(asks), depth)
        for name, value in expected.items():
            assert same(float(computed[name][row]), value), (name, row)


TOPS = st.tuples(
    st.sampled_from([99.0, 100.0, 101.0, float("nan")]), SIZES, st.sampled_from([102.0, 103.0, 104.0]), SIZES
)


@given(st.lists(st.tuples(st.integers(1, 3), TOPS), max_size=30), st.lists(st.integers(1, 7), min_size=1))
def test_order_flow_equals_the_oracle_however_the_rows_are_batched(rows, sizes) -> None:  # noqa: ANN001
    last: dict[int, tuple[float, float, float, float]] = {}
    expected = []
    for segment, top in rows:
        expected.append(order_flow(last.get(segment), top))
        last[segment] = top
    flow = OrderFlow()
    computed: list[float] = []
    first, turn = 0, 0
    while first < len(rows):
        some = rows[first : first + sizes[turn % len(sizes)]]
        tops = np.array([top for _, top in some]).reshape(-1, 4, 1)
        book = Book(tops[:, 0], tops[:, 1], tops[:, 2], tops[:, 3])
        computed += flow.compute(book, np.array([segment for segment, _ in some])).tolist()
        first += len(some)
        turn += 1
    assert len(computed) == len(expected)
    for left, right in zip(computed, expected, strict=True):
        assert left == pytest.approx(right, rel=1e-12, nan_ok=True)


def test_quality_follows_the_documented_rule() -> None:
    ten = [(float(price), 1.0) for price in range(1, 11)]
    asks = [(price + 100.0, 1.0) for price, _ in ten]
    cases: list[Case] = [(ten, asks, 50)] * 5 + [(ten[:9], asks, 50), (ten[:1], asks[:1], 1)]
    second_ns = 1_000_000_000
    received = np.full(7, 100 * second_ns)
    exchange_ms = np.array([99_999.0, 98_000.0, 102_000.0, np.nan, 99_999.0, 99_999.0, 99_999.0])
    verified = np.array([True, True, True, True, False, True, True])
    known = np.array([depth >= 10 for _, _, depth in cases])
    assert quality(flat(cases), known, received, exchange_ms, verified).tolist() == [
        1.0,
        0.8,
        0.9,
        0.95,
        0.5,
        0.9,
        1.0,
    ]
