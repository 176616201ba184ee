"""A book beside the same book from elsewhere."""

import pytest

from collector.book.compared import difference
from collector.book.order_book import OrderBook
from collector.events.messages import Levels, Snapshot

BIDS: Levels = [(10.0, 1.0), (9.0, 2.0), (8.0, 3.0)]
ASKS: Levels = [(11.0, 1.5), (12.0, 2.5)]


def compare(bids: Levels, asks: Levels, size_step: float = 0.0) -> str | None:
    book = OrderBook()
    book.replace(BIDS, ASKS)
    return difference(book, Snapshot("t", None, None, bids, asks), size_step)


@pytest.mark.parametrize(
    ("bids", "asks"), [(BIDS, ASKS), (BIDS[:2], ASKS[:1]), ([*BIDS, (7.0, 1.0)], [*ASKS, (13.0, 1.0)])]
)
def test_the_levels_that_both_have_are_equal(bids: Levels, asks: Levels) -> None:
    assert compare(bids, asks) is None


@pytest.mark.parametrize(
    ("bids", "asks", "words"),
    [
        ([(10.0, 1.1)], ASKS, "bid 10.0 1.0 here, 10.0 1.1 by REST"),
        ([*BIDS[:1], (8.5, 2.0)], ASKS, "bid 9.0 2.0 here, 8.5 2.0 by REST"),
        (BIDS, [(11.0, 1.5), (12.5, 2.5)], "ask 12.0 2.5 here, 12.5 2.5 by REST"),
        (BIDS, [], "2 ask levels here, 0 by REST"),
        ([], ASKS, "3 bid levels here, 0 by REST"),
    ],
)
def test_the_first_level_that_differs_is_named(bids: Levels, asks: Levels, words: str) -> None:
    assert compare(bids, asks) == words


def test_a_rounded_size_is_the_same_within_its_step() -> None:
    assert compare([(10.0, 1.001)], ASKS, 0.001) is None
    assert compare([(10.0, 1.0021)], ASKS, 0.001) is not None
    assert compare([(10.001, 1.0)], ASKS, 0.001) is not None
