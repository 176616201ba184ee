"""Keep a local order book, and prove that it is the exchange's."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.book.bridged import (
        AWAITED,
        EDGE,
        MET,
        STALE_SNAPSHOT,
        WITNESS,
        BridgedBook,
        BridgingRule,
    )
    from collector.book.compared import difference
    from collector.book.kept_deltas import DeltaMemory
    from collector.book.order_book import OrderBook
    from collector.book.verified import (
        CONTINUED,
        MERGED,
        TEN_LEVELS,
        BookState,
        Did,
        Outcome,
        Rule,
        Verdict,
        VerifiedBook,
        WholeBooks,
    )
else:
    __getattr__, __dir__ = face(__name__, __file__)
