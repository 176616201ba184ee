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
    from collector.book.compiled import CompiledBook
    from collector.book.kept_deltas import DeltaMemory
    from collector.book.kernel import Kernel, KernelChoice, find_kernel
    from collector.book.order_book import OrderBook
    from collector.book.rules import Book, ProvingRule, Rule, Verdict, WholeBooks
    from collector.book.verified import (
        CONTINUED,
        MERGED,
        TEN_LEVELS,
        BookState,
        Did,
        Outcome,
        VerifiedBook,
    )
else:
    __getattr__, __dir__ = face(__name__, __file__)
