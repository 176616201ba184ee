"""Define what the streams of every kind have in common: a topic, a count, one chain of segments."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from collector.book import Did, Outcome
from collector.buffer import Buffer
from collector.events import (
    ContractSize,
    EventBus,
    Liveness,
    MarketData,
    NextLevels,
    PotentialHalt,
    SegmentChanged,
    SegmentClosed,
    SegmentOpened,
    StreamKey,
    StreamNow,
)
from collector.exchanges import MarketKind
from collector.streams.plausible import TIME_FAR_OFF

NO_ROOM = "no_room"
CLOCK_STEP = "clock_step"
RETIRED = "unsubscribed"
LEFT_UNIVERSE = "left_universe"  # it is none of the markets traded most any more
UNSYNCED = "unsynced"
MOST_FAR_OFF = 5  # in a row: that is no odd message but a clock that is wrong, ours or theirs
SILENT_NS = 2_000_000_000  # silent for so long, two connections have nothing under way between them


@dataclass(frozen=True, slots=True)
class Topic:
    """What a stream is called at its exchange, and what its messages mean there."""

    name: str  # what is subscribed
    route: str  # what its frames are known by
    market_id: str
    kind: MarketKind
    depth: int = 0  # of a book
    contract: ContractSize | None = None  # what sizes count, where that is not the base currency


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where streams put what they take."""

    buffer: Buffer
    events: EventBus
    new_segment_id: Callable[[], int]


class Stream(ABC):
    """One stream from its mapped messages to the buffer. Lives in the websocket thread."""

    covers_silence: ClassVar[bool] = True  # nothing said means that nothing happened

    def __init__(self, key: StreamKey, topic: Topic, outlet: Outlet, *, standby: bool = False) -> None:
        self.key = key
        self.topic = topic
        self.on_doubt: Callable[[Stream, Outcome], None] = _ignore  # called by whoever finds it in doubt
        self.number = outlet.buffer.register(key, topic.contract)
        self._tally = outlet.buffer.tally(self.number)
        self._buffer = outlet.buffer
        self._events = outlet.events
        self._new_segment_id = outlet.new_segment_id
        self._retired = False
        self._is_asked = True  # else what comes is the last of a socket that was given up
        self._standby = standby  # another one stores what this one receives
        self._segment_id: int | None = None
        self._last_row_ns = 0
        self.last_update_at_ns = 0  # receipt of the last message that brought something new
        self._exchange_ms: int | None = None  # of that message
        # When the exchange confirmed it, on the current socket, and that socket's signs of life.
        self._subscribed_ns: int | None = None
        self._liveness = Liveness()
        self._fed_by = ""  # the name of the connection that feeds the open segment
        self._far_off = 0  # events in a row whose time was too far from ours

    @property
    def verified(self) -> bool:
        """Return whether the stream is covered now."""
        return self._segment_id is not None

    @property
    def is_standby(self) -> bool:
        """Return whether another stream stores what this one receives."""
        return self._standby

    @property
    def sees_what_is_lost(self) -> bool:
        """Return whether the numbers of the next message show that one before it is missing."""
        return self.verification == "sequence"

    def is_named(self, text: str) -> bool:
        """Return whether an unreadable frame names this stream's topic."""
        return f'"{self.topic.name}"' in text

    def could_be_meant(self, text: str) -> bool:
        """Return whether an unreadable frame, which names no topic, could be one of this stream's."""
        market = self.key.symbol.partition(":")[0]
        return any(f'"{name}"' in text for name in (market, self.topic.market_id))

    def glance(self) -> StreamNow:
        """Return the state of the stream. Call it in the websocket thread."""
        return StreamNow(
            self.key,
            self.verified,
            received_at_ns=self.last_update_at_ns,
            exchange_ms=self._exchange_ms,
            market_id=self.topic.market_id,
        )

    @property
    @abstractmethod
    def verification(self) -> str:
        """Return what proves that nothing is missing: the word that stands in coverage."""

    @abstractmethod
    def take(self, message: MarketData, received_at_ns: int, liveness: Liveness) -> Outcome:
        """Settle a message: exactly one row, or one count, for one event."""

    def take_next(self, found: NextLevels, received_at_ns: int) -> bool:
        """Take changed levels of a book that simply follow; False: nothing was done."""
        del found, received_at_ns
        return False

    @abstractmethod
    def forget(self) -> None:
        """Forget what was known: what feeds the stream is gone."""

    def asked(self) -> None:
        """Accept messages from now on: the subscription is asked for on the current socket."""
        self._is_asked = True

    def subscribed(self, at_ns: int, liveness: Liveness) -> None:
        """Cover silence from now on: the exchange confirmed the subscription and sends everything."""
        self._is_asked = True
        self._subscribed_ns, self._liveness = at_ns, liveness
        self._cover_silence(at_ns)

    def missed(self, cause: str, detail: str, at_ns: int) -> None:
        """End the segment after a message that could not be read, and cover again from now on."""
        self.end_segment(cause, detail, alive_until_ns=None)
        self._cover_silence(at_ns)

    def lose(self, cause: str, detail: str, alive_until_ns: int | None) -> None:
        """End the segment: what feeds the stream is gone."""
        self.end_segment(cause, detail, alive_until_ns)
        self._subscribed_ns = None
        self._is_asked = False
        self.forget()

    def retire(self, heard_ns: int, cause: str = RETIRED) -> None:
        """Store nothing from now on: the stream was removed."""
        self._retired = True
        self.lose(cause, "", heard_ns)

    def end_segment(self, cause: str, detail: str, alive_until_ns: int | None) -> None:
        """Close the segment that is open, if one is."""
        if self._segment_id is not None:
            self._close(cause, detail, alive_until_ns)

    def end_at_step(self, step_ns: int, heard_ns: int, detail: str) -> bool:
        """End the segment on the clock of before; returns whether to cover silence again by the new one."""
        was_covered = self.verified
        self.end_segment(CLOCK_STEP, detail, heard_ns)
        if self.last_update_at_ns:
            self.last_update_at_ns += step_ns
        if self._subscribed_ns is not None:
            self._subscribed_ns += step_ns
        return was_covered or self._far_off > 0

    def begin_after_step(self, at_ns: int) -> None:
        """Cover silence on the new clock."""
        self._cover_silence(at_ns)

    def _close(self, cause: str, detail: str, alive_until_ns: int | None) -> int:
        """Close the segment, which is open; returns until when it covers."""
        assert self._segment_id is not None  # noqa: S101  (callers look first)
        self._buffer.close_segment(SegmentClosed(self._segment_id, cause, detail, alive_until_ns))
        self._publish(self._segment_id, self._last_row_ns, cause, detail, verified=False)
        self._segment_id = None
        return max(self._last_row_ns, alive_until_ns or 0)

    def _receive(self) -> int:
        """Count an event that came in; returns how many there were."""
        received = self._tally.received = self._tally.received + 1
        return received

    def _reject(self, received: int, reason: str, detail: str = "") -> Outcome:
        self._buffer.count_rejected(self.number, received, reason)
        return Outcome(Did.REJECTED, reason, detail)

    def _reject_implausible(self, received: int, at_ns: int, problem: tuple[str, str]) -> Outcome:
        """Reject an event; one whose time looks wrong is not there, and coverage does not say that it is."""
        reason, detail = problem
        if reason == TIME_FAR_OFF:
            self.end_segment(reason, detail, alive_until_ns=None)
            self._far_off += 1
            if self._far_off == MOST_FAR_OFF:
                words = f"{self.key.channel}: {MOST_FAR_OFF} in a row dated {detail}: compare the clocks"
                self._events.publish(PotentialHalt(self.key.exchange, reason, words, at_ns, self.key.symbol))
        return self._reject(received, reason, detail)

    def _segment_for_a_row(self, received: int, received_at_ns: int, liveness: Liveness) -> int | None:
        """Return the open segment, or a new one; None when there is no room and the event was dropped."""
        if self._segment_id is not None:
            return self._segment_id
        if not self._buffer.has_room:
            self._buffer.count_dropped(self.number, received)
            return None
        return self._open_segment(received_at_ns, liveness)

    def _stored(self, stored: bool, received_at_ns: int) -> None:
        """Record whether a row was taken; one that was not ends the segment, the next row begins another."""
        if stored:
            self._last_row_ns = received_at_ns
            self._far_off = 0
        else:
            self._no_room()

    def _no_room(self) -> None:
        detail = "the buffer is full: the database does not keep up"
        self.end_segment(NO_ROOM, detail, alive_until_ns=None)

    def _cover_silence(self, from_ns: int) -> None:
        """Open a segment without a row, where a confirmed subscription is enough for it."""
        stores = not self._standby and not self._retired and self._segment_id is None
        if self.covers_silence and stores and self._subscribed_ns is not None:
            self._open_segment(from_ns, self._liveness)

    def _silent_since_subscribed(self, liveness: Liveness) -> bool:
        """Return whether the connection was alive for a while since the subscription was confirmed."""
        since_ns = self._subscribed_ns
        return since_ns is not None and liveness.heard_ns - since_ns > SILENT_NS

    def _open_segment(self, start_ns: int, liveness: Liveness) -> int:
        segment_id = self._segment_id = self._new_segment_id()
        opened = SegmentOpened(
            segment_id, self.number, start_ns, self.verification, liveness, self.covers_silence
        )
        self._buffer.open_segment(opened)
        self._last_row_ns, self._fed_by = start_ns, liveness.connection
        self._publish(segment_id, start_ns, "", "", verified=True)
        return segment_id

    def _publish(self, segment_id: int, at_ns: int, cause: str, detail: str, *, verified: bool) -> None:
        self._events.publish(
            SegmentChanged(*self.key, segment_id, at_ns, verified, cause, detail, self._fed_by)
        )


def _ignore(_stream: Stream, _outcome: Outcome) -> None:
    pass
