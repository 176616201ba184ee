"""Verify a local book by its exchange's own numbers: a small state machine, no I/O, no clock."""

from array import array
from collections.abc import Callable, Sequence
from enum import Enum, auto
from math import inf, nan
from typing import NamedTuple

from collector.book.compiled import CompiledBook
from collector.book.order_book import OrderBook
from collector.book.rules import Book, ProvingRule, Rule, Verdict
from collector.errors import FrameError
from collector.events import Delta, NextLevels, Snapshot

TEN_LEVELS = 10  # as many as features look at


class BookState(Enum):
    """The state of a book."""

    UNSYNCED = auto()  # no snapshot yet
    SYNCED = auto()
    RESYNCING = auto()  # was synced, was doubted, waits for a new snapshot


class Did(Enum):
    """What became of a message."""

    CONTINUED = auto()  # applied: a row
    OPENED = auto()  # applied: the first row of a new segment
    REOPENED = auto()  # applied: the segment before ends with `reason`, a new one begins
    MERGED = auto()  # nothing new in it
    AWAITED = auto()  # a snapshot of what the stream has yet to bring; the book stands as it stood
    REJECTED = auto()  # not applied, for `reason`; the book stands as it stood
    BROKE = auto()  # not applied; the book is doubted from its last update on, and must be fetched again


class Outcome(NamedTuple):
    """What became of a message, and why."""

    did: Did
    reason: str = ""
    detail: str = ""


CONTINUED = Outcome(Did.CONTINUED)
OPENED = Outcome(Did.OPENED)
MERGED = Outcome(Did.MERGED)
UNSYNCED = Outcome(Did.REJECTED, "unsynced")


class VerifiedBook:
    """A local book and the proof that it is the exchange's."""

    __slots__ = (
        "_ask_edge",
        "_bid_edge",
        "_depth",
        "_known_of_ten",
        "_max_jump",
        "_mid",
        "_most_kept",
        "_new_book",
        "_prove",
        "_rule",
        "book",
        "exchange_ms",
        "last_sequence",
        "state",
    )

    def __init__(
        self,
        rule: Rule,
        depth: int,
        max_jump: float = inf,
        *,
        new_book: Callable[[], Book] = OrderBook,
    ) -> None:
        self._rule = rule
        self._prove = rule.prove if isinstance(rule, ProvingRule) else None
        self._depth = self._most_kept = depth
        self._known_of_ten = min(TEN_LEVELS, depth)
        # The lowest bid and the highest ask that are known for sure. NaN: there are none, all levels come in.
        self._bid_edge = self._ask_edge = nan
        self._new_book = OrderBook if self._prove is not None else new_book  # a proof reads all of it
        self._max_jump = max_jump  # of the middle price, as a share of it, between two messages
        self._mid = 0.0  # 0: none to compare with, whatever comes is believed
        self.book = self._new_book()
        self.state = BookState.UNSYNCED
        self.last_sequence: int | None = None
        self.exchange_ms: int | None = None  # of the last message that is in the book

    @property
    def verification(self) -> str:
        """Return the word for what proves the book."""
        return self._rule.verification

    def knows(self, levels: int) -> bool:
        """Return whether the best `levels` of each side are known for sure: as many as were subscribed."""
        return levels <= self._depth

    def known_levels(self, most: int) -> int:
        """Count the best levels of which each side is known for sure, at most `most`."""
        return min(most, self._depth)

    def reset(self) -> None:
        """Forget the book: the connection that fed it is gone."""
        self.book = self._new_book()
        self._mid = 0.0
        self.last_sequence = self.exchange_ms = None
        self.state = BookState.UNSYNCED

    def apply_delta(self, delta: Delta) -> Outcome:
        """Apply changed levels if they follow what is known."""
        if self.state is not BookState.SYNCED:
            return UNSYNCED
        verdict = self._judge(delta)
        outcome = CONTINUED
        if verdict is not Verdict.CONTINUES:  # seldom
            detail = f"sequence {delta.sequence} after {self.last_sequence}"
            if verdict is Verdict.BREAKS:
                return self._broke("sequence_gap", detail)
            if verdict is Verdict.REPEATS:
                if not delta.bids and not delta.asks:
                    return MERGED  # the exchange says that nothing changed
                return Outcome(Did.REJECTED, "stale", f"sequence {delta.sequence} was applied before")
            outcome = Outcome(Did.REOPENED, "restart", detail)
        elif self._prove is not None and self._changes_nothing(delta):
            outcome = MERGED  # once it is proven; without numbers only the levels tell what is new
        try:
            self.book.update(delta.bids, delta.asks)
        except FrameError as error:
            return self._broke(error.reason, error.detail)
        return self._settle(delta, outcome)

    def step(self, found: NextLevels, levels: int) -> tuple[Sequence[float], int] | None:
        """Apply changed levels that simply follow; return the best `levels` and how many of ten are known.

        None where there is anything to judge: the message is to be given to `apply_delta`, which does again
        what was done to the levels until then, as sizes are absolute. May raise in place of None.
        """
        _, follows, sequence, exchange_ms, _, new_bids, new_asks = found
        if follows != self.last_sequence or self._prove is not None or sequence <= follows:
            return None
        book, most = self.book, self._most_kept
        if isinstance(book, CompiledBook):
            return self._follow(book, found, levels)
        book.bids.update(new_bids)  # type: ignore[arg-type]  # from the text, not held by the kernel
        book.asks.update(new_asks)
        bids, asks = book.bids.prices, book.asks.prices
        if len(bids) > most:
            book.bids.cut_below(most)
        if len(asks) > most:
            book.asks.cut_above(most)
        bid, ask, before = bids[-1], asks[0], self._mid
        mid = (bid + ask) / 2.0
        if bid >= ask or abs(mid - before) > self._max_jump * before > 0.0:
            return None
        self._mid, self.last_sequence, self.exchange_ms = mid, sequence, exchange_ms
        return book.top(levels), self._known_of_ten

    def _follow(
        self, book: CompiledBook, found: NextLevels, levels: int
    ) -> tuple[Sequence[float], int] | None:
        """Do the same with levels that the kernel holds."""
        _, _, sequence, exchange_ms, _, held, _ = found
        done = book.follow(
            held,  # type: ignore[arg-type]  # other levels are refused
            sequence,
            self._mid,
            self._max_jump,
            self._most_kept,
            levels,
            self._known_of_ten,
            self._bid_edge,
            self._ask_edge,
        )
        if done is None:
            return None
        packed, self._mid, known, self._bid_edge, self._ask_edge = done
        self.last_sequence, self.exchange_ms = sequence, exchange_ms
        return array("d", packed), known

    def apply_snapshot(self, snapshot: Snapshot) -> Outcome:
        """Replace the book by a snapshot, or open it."""
        outcome = OPENED
        before = None
        if self.state is BookState.SYNCED:
            verdict = self._rule.judge_snapshot(self.last_sequence, snapshot)
            if verdict is Verdict.REPEATS:
                return MERGED
            if verdict is Verdict.CONTINUES:
                outcome = CONTINUED
            elif verdict is Verdict.UNNUMBERED:
                outcome, before = CONTINUED, self.book
            else:
                before = self.book
                detail = f"snapshot {snapshot.sequence} after {self.last_sequence}"
                outcome = Outcome(Did.REOPENED, "restart", detail)
        if not snapshot.bids and not snapshot.asks:
            return self._broke("empty", "a snapshot without a level")
        self.book = self._new_book()
        try:
            self.book.replace(snapshot.bids, snapshot.asks)
        except FrameError as error:
            return self._broke(error.reason, error.detail)
        if snapshot.sequence is None and before is not None and self._is_same(before):
            outcome = MERGED  # without a sequence, the levels themselves say that nothing was missed
        return self._settle(snapshot, outcome)

    def _is_same(self, before: Book) -> bool:
        """Return whether the new book has the levels of the one before, to the depth that is kept."""
        self.book.bids.cut_below(self._depth)
        self.book.asks.cut_above(self._depth)
        return self.book == before

    def doubt(self, reason: str, detail: str) -> Outcome:
        """Discard the book, if there is one: a loss is known that its numbers need not show."""
        if self.state is not BookState.SYNCED:
            return UNSYNCED
        return self._broke(reason, detail)

    def _changes_nothing(self, delta: Delta) -> bool:
        """Return whether every level of a delta is in the book already, or beyond its depth."""
        bids, asks, depth = self.book.bids, self.book.asks, self._depth
        for price, size in delta.bids:
            is_beyond = len(bids.prices) >= depth and price < bids.prices[0]
            if not (is_beyond or bids.holds(price, size)):
                return False  # nearly always at the first level
        for price, size in delta.asks:
            is_beyond = len(asks.prices) >= depth and price > asks.prices[-1]
            if not (is_beyond or asks.holds(price, size)):
                return False
        return True

    def _judge(self, delta: Delta) -> Verdict:
        return self._rule.judge_delta(self.last_sequence, delta)

    def _settle(self, message: Snapshot | Delta, outcome: Outcome) -> Outcome:
        book = self.book
        bids, asks = book.bids.prices, book.asks.prices
        if len(bids) > self._most_kept:
            book.bids.cut_below(self._most_kept)
        if len(asks) > self._most_kept:
            book.asks.cut_above(self._most_kept)
        if self._prove is not None:  # before the look at the touch: a lost message shows there as well
            wrong = self._prove(book, message)
            if wrong is not None:
                return self._broke("checksum", wrong)
        if bids and asks:
            if bids[-1] >= asks[0]:
                return self._broke("crossed", f"best bid {bids[-1]!r}, best ask {asks[0]!r}")
            before, self._mid = self._mid, (bids[-1] + asks[0]) / 2.0
            if abs(self._mid - before) > self._max_jump * before > 0.0 and outcome.did is Did.CONTINUED:
                return self._broke("absurd", f"the middle went from {before!r} to {self._mid!r} at once")
        self.last_sequence = message.sequence
        self.exchange_ms = message.exchange_ms
        self.state = BookState.SYNCED
        return outcome

    def _broke(self, reason: str, detail: str) -> Outcome:
        """Discard the book; one that was never synced goes on waiting for its snapshot."""
        was_synced = self.state is BookState.SYNCED
        self.reset()
        self.state = BookState.RESYNCING if was_synced else BookState.UNSYNCED
        return Outcome(Did.BROKE, reason, detail)
