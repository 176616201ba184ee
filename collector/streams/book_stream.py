"""Turn the messages of one book into rows, segments and counts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Protocol

from collector.book import (
    AWAITED,
    CONTINUED,
    EDGE,
    MET,
    TEN_LEVELS,
    WITNESS,
    BridgedBook,
    Did,
    Outcome,
    VerifiedBook,
    difference,
)
from collector.events import (
    Delta,
    L2Update,
    Liveness,
    MarketData,
    NextLevels,
    Snapshot,
    StreamKey,
    StreamNow,
    WitnessDisagreed,
)
from collector.streams.paired_book import PairedBook, Row
from collector.streams.stream import RETIRED, UNSYNCED, Outlet, Topic

PATIENCE_NS = 30_000_000_000  # for the stream to come to where REST stood: it may have a backlog


class BookWitness(Protocol):
    """Compares a book with other channels of its market."""

    def saw(
        self, stream: "BookStream", cross_sequence: int | None, top: Sequence[float], received_at_ns: int
    ) -> None:
        """Take the state of a book after a message, and its number across channels, where it has one."""

    def lost(self, stream: "BookStream") -> None:
        """Forget what a book said: its segment ended."""

    def leave(self, stream: "BookStream") -> None:
        """Compare a book no more."""


class BookStream(PairedBook):
    """One book from its mapped messages to the buffer. Lives in the websocket thread."""

    covers_silence: ClassVar[bool] = False  # a book must be seen to be covered

    def __init__(
        self,
        key: StreamKey,
        topic: Topic,
        outlet: Outlet,
        book: VerifiedBook,
        *,
        levels_per_row: int,
        levels_shown: int | None = None,
        standby: bool = False,
    ) -> None:
        shown = levels_per_row if levels_shown is None else levels_shown
        super().__init__(key, topic, outlet, book, levels_shown=shown, standby=standby)
        self.repeats_when_quiet = False  # the exchange sends a book again that does not change
        self.in_question = False  # silent for so long that it was subscribed anew, to compare
        self._asked_anew = False  # and no snapshot came since
        self._awaiting_since_ns = 0  # receipt of the snapshot that the stream has yet to reach
        self._levels_per_row = levels_per_row
        self.witness: BookWitness | None = None  # who compares this stream with others of its market
        self.is_watched = False  # there is something to compare with

    @property
    def by_rest(self) -> bool:
        """Return whether the book's snapshots come by REST."""
        return isinstance(self._book, BridgedBook)

    @property
    def near_the_edge(self) -> bool:
        """Return whether a verified book should be fetched again before it knows too few levels."""
        return isinstance(self._book, BridgedBook) and self.verified and self._book.needs_snapshot

    def top(self) -> tuple[float, ...]:
        """Return the best bid and ask, each with its size."""
        return tuple(self._book.book.top(1))

    def glance(self) -> StreamNow:
        """Return the state of the stream. Call it in the websocket thread."""
        book = self.book_now(TEN_LEVELS)
        bid, ask = (None, None) if book is None else (book.best_bid, book.best_ask)
        return replace(super().glance(), bid=bid, ask=ask, book=book)

    def compare(self, snapshot: Snapshot) -> str | None:
        """Compare with REST: "" when equal, the difference in words, None when not comparable now."""
        return self._book.compare(snapshot) if isinstance(self._book, BridgedBook) else None

    def difference(self, snapshot: Snapshot, size_step: float) -> str | None:
        """Compare with the same book elsewhere, its sizes rounded to a step; words where they differ."""
        return difference(self._book.book, snapshot, size_step)

    def count_witnessed(self, compared: int, disagreed: int) -> None:
        """Count comparisons of the segment that is open."""
        if self._segment_id is not None:
            self._buffer.count_witnessed(self._segment_id, compared, disagreed)

    def tell_disagreement(self, at_ns: int, detail: str) -> None:
        """Publish that another channel told something else; the segment goes on."""
        self._events.publish(WitnessDisagreed(*self.key, at_ns, detail))

    def expect_snapshot(self, expected: bool) -> None:
        """Keep the updates that come during a fetch for its snapshot, or stop keeping them."""
        if isinstance(self._book, BridgedBook):
            self._book.fetching += 1 if expected else -1
            self._is_asked |= expected and not self._retired

    def asked(self) -> None:
        """Note that the subscription was sent on the present socket."""
        super().asked()
        self._asked_anew = True

    def give_up_waiting(self, now_ns: int) -> None:
        """Doubt a book whose stream does not come to where REST stood, after so long."""
        book = self._book
        if not (isinstance(book, BridgedBook) and book.awaits_the_stream):
            return
        waited_ns = now_ns - self._awaiting_since_ns
        if waited_ns > PATIENCE_NS:
            detail = f"{waited_ns / 1e9:.1f} s after REST answered from further on, at {book.last_sequence}"
            self.on_doubt(self, self.doubt(EDGE, detail))

    def take_next(self, found: NextLevels, received_at_ns: int) -> bool:
        """Take changed levels that simply follow, as `take` would take the same as a message.

        False where they are not taken: nothing was counted or stored, and `take` is to judge them.
        """
        segment_id = self._segment_id
        if segment_id is None or self._stands is not None or not self._is_asked:
            return False
        try:
            done = self._book.step(found, self._levels_per_row)
        except Exception:  # noqa: BLE001  (whatever is wrong with them, the general way finds it again)
            return False
        if done is None:
            return False
        top, known_levels = done
        tally = self._tally
        received = tally.received = tally.received + 1
        self.last_update_at_ns = received_at_ns
        self._show(top, known_levels, found[4], received, received_at_ns, segment_id)
        return True

    def take(self, message: MarketData, received_at_ns: int, liveness: Liveness) -> Outcome:
        """Apply a message and settle it: exactly one row, or one count, for one event."""
        received = self._tally.received = self._tally.received + 1
        if not self._is_asked:
            return self._reject(received, RETIRED if self._retired else UNSYNCED)
        in_question = False
        if isinstance(message, Delta):
            outcome = self._book.apply_delta(message)
        elif isinstance(message, Snapshot):
            outcome = self._book.apply_snapshot(message)
            in_question = self.in_question and self._is_answer
            self.in_question &= not in_question
            self._asked_anew = False
        else:
            return self._reject(received, "malformed", "a message that is none of a book")
        if outcome is CONTINUED and not in_question and self._stands is None:  # nearly always
            self.last_update_at_ns = received_at_ns
            self._store(message, received, received_at_ns, liveness)
        elif outcome.did is Did.AWAITED:
            self._wait_for_the_stream(outcome, received, received_at_ns)
        else:
            if outcome is MET:  # the stream stands where REST stood: they are compared, and equal
                self.count_witnessed(1, 0)
            self._settle(message, outcome, received, received_at_ns, liveness, in_question=in_question)
        return outcome

    @property
    def _is_answer(self) -> bool:
        """Return whether a snapshot can answer a question: it is no push of the subscription before."""
        return self._asked_anew or self.sees_what_is_lost

    def _wait_for_the_stream(self, outcome: Outcome, received: int, received_at_ns: int) -> None:
        """Count a snapshot whose levels go into a row that the stream has yet to bring."""
        if outcome is AWAITED:
            self._awaiting_since_ns = received_at_ns
        self._buffer.count_merged(self.number, received)

    def _settle(
        self,
        message: Snapshot | Delta,
        outcome: Outcome,
        received: int,
        received_at_ns: int,
        liveness: Liveness,
        *,
        in_question: bool,
    ) -> None:
        """Settle an event that is more than the next row of a segment."""
        did = outcome.did
        if did is not Did.MERGED or self.repeats_when_quiet:
            self.last_update_at_ns = received_at_ns
            self._exchange_ms = message.exchange_ms
        if did is Did.REJECTED:
            self._buffer.count_rejected(self.number, received, outcome.reason)
        elif did is Did.MERGED:
            self._repeated(received)
            if self.by_rest and isinstance(message, Snapshot):  # compared level by level, and equal
                self.count_witnessed(1, 0)
        elif did is Did.BROKE:
            if outcome.reason == WITNESS:
                self.count_witnessed(1, 1)
            self._buffer.count_rejected(self.number, received, outcome.reason)
            self.end_segment(outcome.reason, outcome.detail, alive_until_ns=None)
            self._leave_step()
        else:
            if in_question and did is Did.CONTINUED and not self.sees_what_is_lost:
                self.end_segment("stale", "silent, and something else when asked", alive_until_ns=None)
            if did is Did.REOPENED:
                cause = "stale" if in_question else outcome.reason
                self._begins_again(cause, outcome.detail)
            if self._stands is None:
                self._store(message, received, received_at_ns, liveness)
            else:
                self._settle_beside(self._stands, message, received_at_ns, liveness)

    def doubt(self, reason: str, detail: str) -> Outcome:
        """Discard the book: a message about it could not be read, or another source contradicts it."""
        outcome = self._book.doubt(reason, detail)
        if outcome.did is Did.BROKE:
            self.end_segment(outcome.reason, outcome.detail, alive_until_ns=None)
            self._leave_step()
        return outcome

    def end_at_step(self, step_ns: int, heard_ns: int, detail: str) -> bool:
        """End the segment on the clock of before; the book goes on as it stands."""
        self._awaiting_since_ns += step_ns
        return super().end_at_step(step_ns, heard_ns, detail)

    def forget(self) -> None:
        """Discard the book."""
        self._book.reset()
        self.in_question = False

    def _store(
        self, message: Snapshot | Delta, received: int, received_at_ns: int, liveness: Liveness
    ) -> None:
        segment_id = self._segment_id
        if segment_id is None:
            segment_id = self._segment_for_a_row(received, received_at_ns, liveness)
        top, known_levels = self._book.book.top(self._levels_per_row), self._book.known_levels(TEN_LEVELS)
        self._show(top, known_levels, message.cross_sequence, received, received_at_ns, segment_id)

    def _show(
        self,
        top: Sequence[float],
        known_levels: int,
        cross_sequence: int | None,
        received: int,
        received_at_ns: int,
        segment_id: int | None,
    ) -> None:
        """Store the book as it stands now, where a segment is open, and tell those who look on."""
        book = self._book
        # Not the message's: updates that came before a snapshot of REST are in the book, and may be newer.
        exchange_ms = self._exchange_ms = book.exchange_ms
        if segment_id is not None:
            if self._buffer.append(
                self.number,
                received,
                received_at_ns,
                exchange_ms,
                book.last_sequence,
                segment_id,
                known_levels,
                top,
            ):
                self._last_row_ns = received_at_ns
            else:
                self._no_room()
        if self.is_watched and self.witness is not None:
            self.witness.saw(self, cross_sequence, top, received_at_ns)
        if self._events.wanted(L2Update):  # stored or not: what a bot sees does not hang on the database
            numbers = tuple(top)
            self._publish_update(received_at_ns, known_levels >= TEN_LEVELS, numbers)
            self._top = numbers
        else:
            self._top = top

    def _lost_track(self) -> None:
        """Tell who compares the book with others that what it shows next does not follow what it showed."""
        if self.witness is not None:
            self.witness.lost(self)

    def leave(self) -> None:
        """Store nothing from now on, and be compared with nothing."""
        super().leave()
        if self.witness is not None:
            self.witness.leave(self)

    def _row(self) -> Row:
        """Return the state of the book as it would be stored."""
        top = tuple(self._book.book.top(self._levels_per_row))
        return self._book.exchange_ms, self._book.last_sequence, self._book.known_levels(TEN_LEVELS), top
