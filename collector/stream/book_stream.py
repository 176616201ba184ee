"""Take one stream's book messages to rows, segments and counts."""
# ruff: noqa: SLF001  (one stream takes over from another: they look into each other)

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan

from collector.book.bridged import BridgedBook
from collector.book.verified import CONTINUED, BookState, Did, Outcome, VerifiedBook
from collector.buffer.buffer import Buffer
from collector.events.batch import Liveness, SegmentClosed, SegmentOpened, StreamKey
from collector.events.bus import EventBus
from collector.events.glance import Glance
from collector.events.market import L2Update
from collector.events.messages import Delta, Snapshot
from collector.events.notices import SegmentChanged
from collector.exchanges.venues import Kind

NO_ROOM = "no_room"
RETIRED = "unsubscribed"
TEN_LEVELS = 10  # as many as features look at


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream is found at its exchange."""

    topic: str  # what is subscribed
    route: str  # what its frames are known by
    market_id: str
    kind: Kind
    depth: int


class BookStream:
    """One stream from its mapped messages to the buffer. Lives in the websocket thread."""

    def __init__(
        self,
        key: StreamKey,
        place: Place,
        book: VerifiedBook,
        buffer: Buffer,
        *,
        levels_per_row: int,
        levels_shown: int | None = None,
        new_segment_id: Callable[[], int],
        events: EventBus,
        standby: bool = False,
    ) -> None:
        self.key = key
        self.place = place
        self.topic = place.topic
        self.number = buffer.register(key)
        self._tally = buffer.tally(self.number)
        self._exchange_ms: int | None = None  # of that message
        self.last_news_at_ns = 0  # receipt of the last message that said something new
        self.in_question = False  # silent for so long that a new snapshot was asked for, to compare
        self._book = book
        self._buffer = buffer
        self._levels_per_row = levels_per_row
        self._levels_shown = levels_per_row if levels_shown is None else levels_shown
        self._new_segment_id = new_segment_id
        self._events = events
        self._retired = False
        self._standby = standby  # follows beside another that stores: its rows would be the same again
        self._segment_id: int | None = None
        self._last_row_ns = 0
        self._top: Sequence[float] | None = None  # the last state of this segment, for its order flow

    @property
    def verified(self) -> bool:
        """Say whether the book is believed now."""
        return self._book.state is BookState.SYNCED

    @property
    def by_rest(self) -> bool:
        """Say whether the book's snapshots come by REST."""
        return isinstance(self._book, BridgedBook)

    @property
    def near_the_edge(self) -> bool:
        """Say whether a verified book should be fetched again before it knows too little."""
        return isinstance(self._book, BridgedBook) and self.verified and self._book.needs_snapshot

    def glance(self) -> Glance:
        """Show the stream as it stands. Call it in the websocket thread."""
        bid, _, ask, _ = self._book.book.top(1) if self.verified else (nan,) * 4
        return Glance(
            self.key,
            self.verified,
            None if isnan(bid) else bid,
            None if isnan(ask) else ask,
            self.last_news_at_ns,
            self._exchange_ms,
        )

    def expect_snapshot(self, expected: bool) -> None:
        """Have the book keep what the stream sends for a snapshot under way, or no longer."""
        if isinstance(self._book, BridgedBook):
            self._book.fetching = expected

    def take(self, message: Snapshot | Delta, received_at_ns: int, liveness: Liveness) -> Outcome:
        """Apply a message and settle it: exactly one row, or one count, for one event."""
        received = self._tally.received = self._tally.received + 1
        if self._retired:
            self._buffer.count_rejected(self.number, received, RETIRED)
            return Outcome(Did.REJECTED, RETIRED)
        in_question = False
        if isinstance(message, Delta):
            outcome = self._book.apply_delta(message)
        else:
            outcome = self._book.apply_snapshot(message)
            in_question, self.in_question = self.in_question, False
        if outcome is CONTINUED and not in_question and not self._standby:  # nearly always
            self.last_news_at_ns = received_at_ns
            self._exchange_ms = message.exchange_ms
            self._store(message, received, received_at_ns, liveness)
        else:
            self._settle(message, outcome, received, received_at_ns, liveness, in_question=in_question)
        return outcome

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
        if did is not Did.MERGED:
            self.last_news_at_ns = received_at_ns
            self._exchange_ms = message.exchange_ms
        if did is Did.REJECTED:
            self._buffer.count_rejected(self.number, received, outcome.reason)
        elif did is Did.MERGED:
            self._buffer.count_merged(self.number, received)
        elif did is Did.BROKE:
            self.end_segment(outcome.reason, outcome.detail, alive_until_ns=None)
            self._buffer.count_rejected(self.number, received, outcome.reason)
        else:
            if did is Did.CONTINUED and in_question and self.by_rest:
                # The exchange is ahead of a stream that said nothing: it was stale, not quiet.
                self.end_segment(
                    "stale", f"silent, and REST is at {self._book.last_sequence}", alive_until_ns=None
                )
            if did is Did.REOPENED:
                cause = "stale" if in_question else outcome.reason
                self.end_segment(cause, outcome.detail, alive_until_ns=None)
            if self._standby:
                self._buffer.count_merged(self.number, received)
            else:
                self._store(message, received, received_at_ns, liveness)

    def take_over(self, other: "BookStream", liveness: Liveness) -> bool:
        """Go on with another stream's segment, if both books stand at the same update now."""
        if not (self.verified and other.verified and self._same_state(other)):
            return False
        self._standby, other._standby = False, True
        self._segment_id, other._segment_id = other._segment_id, None
        self._last_row_ns = other._last_row_ns
        self._top = other._top
        if self._segment_id is not None:
            self._buffer.move_segment(self._segment_id, liveness)
        return True

    def stand_in(self, other: "BookStream", heard_ns: int) -> None:
        """Store from the next update on, in a segment of its own; the other one stores no more."""
        other.end_segment("replaced", "the new connection never stood where the old one stood", heard_ns)
        self._standby, other._standby = False, True

    def _same_state(self, other: "BookStream") -> bool:
        ours, theirs = self._book, other._book
        if ours.last_sequence is None:
            return ours.book == theirs.book
        return ours.last_sequence == theirs.last_sequence

    def lose(self, cause: str, detail: str, alive_until_ns: int | None) -> None:
        """Let go of the book: what feeds it is gone."""
        self.end_segment(cause, detail, alive_until_ns)
        self._book.reset()
        self.in_question = False

    def retire(self, heard_ns: int) -> None:
        """Store nothing from now on: the stream is not wanted any more."""
        self._retired = True
        self.lose(RETIRED, "", heard_ns)

    def end_segment(self, cause: str, detail: str, alive_until_ns: int | None) -> None:
        """Close the segment that is open, if one is."""
        if self._segment_id is None:
            return
        self._buffer.close_segment(SegmentClosed(self._segment_id, cause, detail, alive_until_ns))
        self._publish(self._segment_id, self._last_row_ns, cause, detail, verified=False)
        self._segment_id = None

    def _store(
        self, message: Snapshot | Delta, received: int, received_at_ns: int, liveness: Liveness
    ) -> None:
        buffer = self._buffer
        known_levels = self._book.known_levels(TEN_LEVELS)
        top = self._book.book.top(self._levels_per_row)
        if self._segment_id is None and buffer.has_room:
            self._open_segment(received_at_ns, liveness)
        if self._segment_id is None:
            buffer.count_dropped(self.number, received)
        elif buffer.append(
            self.number,
            received,
            received_at_ns,
            message.exchange_ms,
            self._book.last_sequence,
            self._segment_id,
            known_levels,
            top,
        ):
            self._last_row_ns = received_at_ns
        else:  # the book is right, but a row is missing: the segment ends, the next row begins another
            detail = "the buffer is full: the database does not keep up"
            self.end_segment(NO_ROOM, detail, alive_until_ns=None)
        if self._events.wanted(L2Update):  # stored or not: what a bot sees does not hang on the database
            numbers = tuple(top)
            self._tell(message, received_at_ns, known_levels >= TEN_LEVELS, numbers)
            self._top = numbers
        else:
            self._top = top

    def _tell(
        self, message: Snapshot | Delta, received_at_ns: int, ten_known: bool, numbers: tuple[float, ...]
    ) -> None:
        exchange, symbol, channel = self.key
        segment_id = self._segment_id
        self._events.publish(
            L2Update(
                exchange=exchange,
                symbol=symbol,
                exchange_ms=message.exchange_ms,
                received_at_ns=received_at_ns,
                channel=channel,
                sequence=self._book.last_sequence,
                segment_id=segment_id,
                shown=self._levels_shown,
                ten_known=ten_known,
                numbers=numbers,
                before=None if segment_id is None else self._top,
            )
        )

    def _open_segment(self, start_ns: int, liveness: Liveness) -> None:
        segment_id = self._segment_id = self._new_segment_id()
        verification = self._book.verification
        self._buffer.open_segment(SegmentOpened(segment_id, self.number, start_ns, verification, liveness))
        self._last_row_ns = start_ns
        self._top = None
        self._publish(segment_id, start_ns, "", "", verified=True)

    def _publish(self, segment_id: int, at_ns: int, cause: str, detail: str, *, verified: bool) -> None:
        self._events.publish(SegmentChanged(*self.key, segment_id, at_ns, verified, cause, detail))
