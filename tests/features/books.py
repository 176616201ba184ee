"""Random books, and batches of them as the buffer hands them over."""

from array import array
from collections.abc import Sequence

from hypothesis import strategies as st
from oracle import Levels, Update

from collector.book.order_book import OrderBook
from collector.events.batch import NO_INT, Batch, Liveness, SegmentClosed, SegmentOpened

LEVELS_A_ROW = 12  # more than the features look at
SIZES = st.one_of(st.sampled_from([1.0, 2.0, 0.1, 0.3]), st.floats(1e-8, 1e8))


def _side(prices: Sequence[float]) -> st.SearchStrategy[Levels]:
    """Return levels of some of the prices, which stand best first."""
    level = st.one_of(st.none(), SIZES)
    sizes = st.lists(level, min_size=len(prices), max_size=len(prices))
    return sizes.map(lambda some: [(p, s) for p, s in zip(prices, some, strict=True) if s is not None])


BIDS = _side([100.0 - 0.1 * step for step in range(14)])
ASKS = _side([100.1 + 0.1 * step for step in range(14)])
KNOWN = st.sampled_from([1, 5, 7, 10, 10])
BOOKS = st.tuples(BIDS, ASKS, KNOWN)
Case = tuple[Levels, Levels, int]


def top(bids: Levels, asks: Levels) -> list[float]:
    """Return what the buffer is given of a book."""
    book = OrderBook()
    book.replace(bids, asks)
    return book.top(LEVELS_A_ROW)


def batch(
    updates: Sequence[Update],
    *,
    opened: Sequence[SegmentOpened] = (),
    closed: Sequence[int] = (),
    heard_ns: dict[int, int] | None = None,
) -> Batch:
    """Hand over these updates."""
    levels, integers = array("d"), array("q")
    for one in updates:
        levels.extend(top(one.bids, one.asks))
        integers.extend((one.received_ns, NO_INT, one.sequence, one.stream, one.segment, one.known))
    ends = tuple(SegmentClosed(segment, "stop", "", None) for segment in closed)
    return Batch(levels, integers, tuple(opened), ends, heard_ns or {}, {})


def opened(segment: int, stream: int, verification: str = "sequence", start_ns: int = 1) -> SegmentOpened:
    """Open a segment."""
    return SegmentOpened(segment, stream, start_ns, verification, Liveness())
