"""Open a book by a REST snapshot, join the stream to it, and keep track of the levels it does not show.

Levels beyond a snapshot's edge are unknown, not empty: they may have rested there since before it, and a
diff stream never mentions them. Such a book counts only what it has seen, and asks to be fetched again
before the price comes near an edge. A fresh snapshot that is ahead of the stream waits until the stream
stands at its number: no update on the way there is passed over.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple, Protocol

from collector.book.compiled import CompiledBook
from collector.book.kept_deltas import DeltaMemory, KeptDeltas
from collector.book.order_book import OrderBook
from collector.book.rules import Book, Rule, Verdict
from collector.book.verified import (
    CONTINUED,
    MERGED,
    OPENED,
    BookState,
    Did,
    Outcome,
    VerifiedBook,
)
from collector.errors import FrameError
from collector.events import Delta, NextLevels, Snapshot

NEAR_THE_EDGE = 0.25  # less than this share of the snapshot's depth is left: fetch again
EDGE = "edge"
WITNESS = "witness"
STALE_SNAPSHOT = "stale_snapshot"  # why one is not taken: it does not reach the stream, a later one will
KEPT_DEPTHS = 2  # levels beyond the edge come in by diffs; a book is cut when it holds this many depths
UNLIMITED = inf

AWAITED = Outcome(Did.AWAITED)
NOT_KEPT = Outcome(Did.AWAITED, "another waits")
MET = Outcome(Did.CONTINUED, "met")  # it stands there, and both agree: the book sees as far as the snapshot


class BridgingRule(Rule, Protocol):
    """A rule that also joins a stream to a snapshot from elsewhere."""

    def bridge(self, snapshot_sequence: int, delta: Delta) -> Verdict:
        """Judge the first delta on a snapshot: REPEATS is older, CONTINUES joins, BREAKS leaves a hole."""


class _Rebuilt(NamedTuple):
    snapshot: Snapshot
    book: Book
    last: Snapshot | Delta  # the last message in it
    sequence: int
    joined: bool


class BridgedBook(VerifiedBook):
    """A book whose snapshot comes by REST while its deltas come by the stream."""

    __slots__ = ("_awaited", "_bridge", "_joined", "_keeps", "_recent", "fetching")

    def __init__(
        self,
        rule: BridgingRule,
        depth: int,
        max_jump: float = inf,
        *,
        memory: DeltaMemory | None = None,  # for deltas, shared with other books
        new_book: Callable[[], Book] = OrderBook,
    ) -> None:
        super().__init__(rule, depth, max_jump, new_book=new_book)
        self._most_kept = depth * KEPT_DEPTHS
        self._bridge = rule.bridge
        self._recent = KeptDeltas(DeltaMemory() if memory is None else memory)
        self._keeps = False  # there is something in it
        self._joined = False  # a delta has joined the snapshot; from then on each follows the one before
        self._bid_edge = 0.0  # the lowest bid and the highest ask that are known for sure
        self._ask_edge = UNLIMITED
        self._awaited: _Rebuilt | None = None  # a snapshot that the stream has yet to reach
        self.fetching = 0  # snapshots under way: deltas are kept for them

    @property
    def needs_snapshot(self) -> bool:
        """Return whether a snapshot should be fetched now: none yet, or the price comes near an edge."""
        if self.state is not BookState.SYNCED:
            return True
        return self._awaited is None and not self.knows(max(1, int(self._depth * NEAR_THE_EDGE)))

    @property
    def awaits_the_stream(self) -> bool:
        """Return whether a snapshot is there that the stream has yet to reach."""
        return self._awaited is not None

    def knows(self, levels: int) -> bool:
        """Return whether the best `levels` of each side are known for sure."""
        bids, asks = self.book.bids.prices, self.book.asks.prices
        knows_bids = self._bid_edge <= 0.0 or (len(bids) >= levels and bids[-levels] >= self._bid_edge)
        knows_asks = self._ask_edge == UNLIMITED or (
            len(asks) >= levels and asks[levels - 1] <= self._ask_edge
        )
        return knows_bids and knows_asks

    def known_levels(self, most: int) -> int:
        """Count the best levels of which each side is known for sure, at most `most` and the depth."""
        wanted = min(most, self._depth)
        if self.knows(wanted):
            return wanted
        return next((levels for levels in range(wanted - 1, 0, -1) if self.knows(levels)), 0)

    def reset(self) -> None:
        """Forget the book; what the stream sends from now on is kept for the next snapshot."""
        super().reset()
        self._joined = False
        self._awaited = None
        self._bid_edge, self._ask_edge = 0.0, UNLIMITED
        self._recent.clear()

    def apply_delta(self, delta: Delta) -> Outcome:
        """Apply changed levels if they follow what is known; keep them where a snapshot may need them."""
        before = self.last_sequence
        outcome = super().apply_delta(delta)
        if outcome is CONTINUED:
            self._joined = True
            if self._awaited is not None:
                outcome = self._approach(self._awaited, delta)
            if not self.knows(1):  # a book that broke knows that it has no edges
                outcome = self._broke(EDGE, "the price left what the snapshot showed")
            elif delta.sequence == before:
                outcome = MERGED  # the update that the snapshot stood at, once more: USD-M joins there
        if self.fetching or self.state is not BookState.SYNCED:
            self._recent.append(delta)
            self._keeps = True
        elif self._keeps:
            self._recent.clear()
            self._keeps = False
        return outcome

    def step(self, found: NextLevels, levels: int) -> tuple[Sequence[float], int] | None:
        """Apply changed levels that simply follow, unless a snapshot is awaited or could need them."""
        last, mid = self.last_sequence, self._mid
        if not self._joined or self._keeps or self.fetching or self._awaited is not None:
            return None
        done = super().step(found, levels)
        if done is None or isinstance(self.book, CompiledBook):  # which looks at the edges itself
            return done
        self._move_edges()
        known = self._known_of_ten
        if not self.knows(known):
            known = self.known_levels(known)
        if not known:  # the price left what the snapshot showed
            self.last_sequence, self._mid = last, mid
            return None
        return done[0], known

    def apply_snapshot(self, snapshot: Snapshot) -> Outcome:
        """Build the book anew from a REST snapshot and the deltas since; one that is ahead waits for them."""
        rebuilt = self._rebuild(snapshot)
        return rebuilt if isinstance(rebuilt, Outcome) else self._take(rebuilt)

    def compare(self, snapshot: Snapshot) -> str | None:
        """Compare with a snapshot: "" is equal, words name a difference, None is not comparable now."""
        rebuilt = self._rebuild(snapshot)
        if self.state is not BookState.SYNCED or isinstance(rebuilt, Outcome):
            return None
        if rebuilt.sequence != self.last_sequence:
            return None
        return self._disagreement(rebuilt.book, snapshot) or ""

    def _rebuild(self, snapshot: Snapshot) -> "_Rebuilt | Outcome":
        """Build a book from a snapshot and the deltas kept since; an Outcome if that cannot be done."""
        sequence = snapshot.sequence
        if sequence is None:
            return Outcome(Did.REJECTED, "malformed", "a snapshot without a sequence cannot be joined")
        # Such an answer proves nothing against the book that stands, and a book that is opened by it would
        # hold only what the stream changed since: another is to be asked for.
        if not snapshot.bids and not snapshot.asks:
            return Outcome(Did.REJECTED, "empty", "a snapshot without a level")
        lost_to = self._recent.lost_to
        if lost_to is not None and sequence < lost_to:
            return Outcome(
                Did.REJECTED, STALE_SNAPSHOT, f"snapshot {sequence}, deltas kept from {lost_to} on"
            )
        book = self._new_book()
        joined = False
        last: Snapshot | Delta = snapshot
        try:
            book.replace(snapshot.bids, snapshot.asks)
            for delta in self._recent:
                judge = self._rule.judge_delta if joined else self._bridge
                verdict = judge(sequence, delta)
                if verdict is Verdict.REPEATS:
                    if delta.sequence == sequence:
                        last = delta  # the same state: REST of spot tells no time, the stream does
                    continue
                if verdict is not Verdict.CONTINUES:
                    return Outcome(
                        Did.REJECTED, STALE_SNAPSHOT, f"snapshot {sequence}, next {delta.sequence}"
                    )
                book.update(delta.bids, delta.asks)
                joined, last = True, delta
                sequence = delta.sequence or sequence
        except FrameError as error:
            return Outcome(Did.REJECTED, error.reason, error.detail)
        return _Rebuilt(snapshot, book, last, sequence, joined)

    def _take(self, rebuilt: "_Rebuilt") -> Outcome:
        sequence, before = rebuilt.sequence, self.last_sequence
        if self.state is not BookState.SYNCED or before is None:
            return self._install(rebuilt, OPENED)
        if sequence < before:
            return Outcome(Did.REJECTED, STALE_SNAPSHOT, f"snapshot reaches {sequence}, the book {before}")
        if sequence > before:
            # The updates up to there are on their way. What waits already is reached before this one.
            if self._awaited is not None:
                return NOT_KEPT
            self._awaited = rebuilt
            return AWAITED
        wrong = self._disagreement(rebuilt.book, rebuilt.snapshot)
        return self._install(rebuilt, MERGED) if wrong is None else self._broke(WITNESS, wrong)

    def _approach(self, awaited: "_Rebuilt", delta: Delta) -> Outcome:
        """Take in the snapshot that waits, if the delta just applied is the one that reaches it.

        Sizes are absolute: where the snapshot stands within the delta, both together are the book at the
        delta's end. Where it stands between two deltas nobody can tell which of them it holds.
        """
        book, reached = awaited.book, delta.sequence
        if reached is None or reached < awaited.sequence:
            return CONTINUED
        self._awaited = None
        if reached > awaited.sequence:
            if self._bridge(awaited.sequence, delta) is not Verdict.CONTINUES:
                detail = f"the stream came to {reached} without standing at {awaited.sequence} as REST did"
                return self._broke(EDGE, detail)
            book.update(delta.bids, delta.asks)
        wrong = self._disagreement(book, awaited.snapshot)
        if wrong is not None:
            return self._broke(WITNESS, wrong)
        return self._install(_Rebuilt(awaited.snapshot, book, delta, reached, joined=True), MET)

    def _install(self, rebuilt: "_Rebuilt", outcome: Outcome) -> Outcome:
        """Replace the book by one that was rebuilt up to the stream."""
        snapshot, self.book, last, sequence, self._joined = rebuilt
        # Fewer levels than asked for are all there are; as many on either side are where it was cut off.
        whole = len(snapshot.bids) != len(snapshot.asks)
        self._bid_edge = 0.0 if whole and len(snapshot.bids) < self._depth else snapshot.bids[-1][0]
        self._ask_edge = UNLIMITED if whole and len(snapshot.asks) < self._depth else snapshot.asks[-1][0]
        self._mid = 0.0  # a fresh snapshot is believed, wherever the price is
        outcome = self._settle(last, outcome)
        if outcome.did is not Did.BROKE:
            self.last_sequence = sequence
        return outcome

    def _disagreement(self, book: Book, snapshot: Snapshot) -> str | None:
        """Compare what both books know; words for the first difference, or None."""
        bid_edge = max(self._bid_edge, snapshot.bids[-1][0] if snapshot.bids else 0.0)
        ask_edge = min(self._ask_edge, snapshot.asks[-1][0] if snapshot.asks else UNLIMITED)
        here, there = self.book, book
        for side, ours, theirs in (
            ("bid", here.bids.sizes, there.bids.sizes),
            ("ask", here.asks.sizes, there.asks.sizes),
        ):
            for price in sorted({*ours, *theirs}):
                inside = price >= bid_edge if side == "bid" else price <= ask_edge
                if inside and ours.get(price) != theirs.get(price):
                    return f"{side} {price!r}: {ours.get(price)} here, {theirs.get(price)} by REST"
        return None

    def _judge(self, delta: Delta) -> Verdict:
        if self._joined or self.last_sequence is None:
            return super()._judge(delta)
        return self._bridge(self.last_sequence, delta)

    def _settle(self, message: Snapshot | Delta, outcome: Outcome) -> Outcome:
        """Settle a message; the book is cut late: levels that diffs bring beyond the depth are known too."""
        settled = super()._settle(message, outcome)
        self._move_edges()
        return settled

    def _move_edges(self) -> None:
        """Know no further than the levels reach that are kept, once as many are there."""
        bids, asks = self.book.bids.prices, self.book.asks.prices
        if len(bids) >= self._most_kept and bids[0] > self._bid_edge:
            self._bid_edge = bids[0]
        if len(asks) >= self._most_kept and asks[-1] < self._ask_edge:
            self._ask_edge = asks[-1]
