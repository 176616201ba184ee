"""Compare a book with the same book as it is told elsewhere, by its levels alone."""

from collector.book.compiled import CompiledLadder
from collector.book.order_book import Ladder
from collector.book.rules import Book
from collector.events import Levels, Snapshot

SLACK = 1.001  # of a step: sizes are binary fractions


def difference(book: Book, snapshot: Snapshot, size_step: float = 0.0) -> str | None:
    """Return the first level in which they differ, in words, or None.

    As many levels are compared as both have, best first: either may be cut off. Sizes are equal within the
    step to which those of the snapshot are rounded.

    A stall that changed nothing but the levels beyond those compared is not seen.
    """
    bids = _difference("bid", _best_first(book.bids, -1), snapshot.bids, size_step)
    return bids or _difference("ask", _best_first(book.asks, 1), snapshot.asks, size_step)


def _best_first(ladder: Ladder | CompiledLadder, step: int) -> Levels:
    return list(zip(ladder.prices[::step], ladder.lots[::step], strict=True))


def _difference(side: str, ours: Levels, theirs: Levels, size_step: float) -> str | None:
    if bool(ours) != bool(theirs):
        return f"{len(ours)} {side} levels here, {len(theirs)} by REST"
    for (price, size), (their_price, their_size) in zip(ours, theirs, strict=False):
        if price != their_price or abs(size - their_size) > size_step * SLACK:
            return f"{side} {price!r} {size!r} here, {their_price!r} {their_size!r} by REST"
    return None
