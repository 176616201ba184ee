"""Compare a book with the same book as it is told elsewhere, by its levels alone."""

from collector.book.order_book import OrderBook
from collector.events.messages import Snapshot

SLACK = 1.001  # of a step: sizes are binary fractions


def difference(book: OrderBook, snapshot: Snapshot, size_step: float = 0.0) -> str | None:
    """Return the first level in which they differ, in words, or None.

    As many levels are compared as both have, best first. Sizes are equal within the step to which those of
    the snapshot are rounded.
    """
    bids, asks = book.bids, book.asks
    sides = (
        ("bid", bids.prices[::-1], bids.lots[::-1], snapshot.bids),
        ("ask", asks.prices, asks.lots, snapshot.asks),
    )
    for side, prices, sizes, theirs in sides:
        if bool(prices) != bool(theirs):
            return f"{len(prices)} {side} levels here, {len(theirs)} by REST"
        ours = zip(prices, sizes, strict=True)
        for (price, size), (their_price, their_size) in zip(ours, theirs, strict=False):
            if price != their_price or abs(size - their_size) > size_step * SLACK:
                return f"{side} {price!r} {size!r} here, {their_price!r} {their_size!r} by REST"
    return None
