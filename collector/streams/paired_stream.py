"""Feed one segment by two connections while one replaces the other: whoever brings an event first stores it.

An event is counted as merged only once it is stored. One that may lie beyond something not seen yet is held,
and counted when the other connection's stream stored it, or when that one ends.
"""
# ruff: noqa: SLF001  (the two streams of a pair look into each other)

from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from collector.events import Liveness, MarketData, StreamKey
from collector.streams.stream import CLOCK_STEP, NO_ROOM, RETIRED, UNSYNCED, Outlet, Stream, Topic

MOST_HELD = 1000  # events that wait for the other connection to bring what lies before them
MOST_WAIT_NS = 5_000_000_000  # then it brings nothing more
# These end a segment because its connection brings nothing more; what was stored is beyond doubt.
FEED_IS_GONE = frozenset({"disconnect", "stop", "refused", "sequence_gap", "checksum"})


@dataclass(frozen=True, slots=True)
class Held:
    """An event that is not counted yet: the other connection may still bring what lies before it."""

    received_at_ns: int
    message: MarketData


class PairedStream(Stream):
    """A stream that may be fed on a second connection as well. Lives in the websocket thread."""

    def __init__(self, key: StreamKey, topic: Topic, outlet: Outlet, *, standby: bool = False) -> None:
        super().__init__(key, topic, outlet, standby=standby)
        self._beside: PairedStream | None = None  # the same stream on the other connection
        self._joined = False  # nothing lies between what is stored and what comes next here
        self._held: deque[Held] = deque()

    @abstractmethod
    def _share(self, other: "PairedStream") -> None:
        """Share with the other connection's stream what is known of the events that are stored."""

    @abstractmethod
    def _compare(self, liveness: Liveness) -> None:
        """Count what the other stream stored meanwhile, and find out whether nothing lies between the two."""

    @abstractmethod
    def _count_held(self) -> None:
        """Count as merged what the other stream stored meanwhile."""

    @abstractmethod
    def _store_held(self, held: Held) -> None:
        """Store an event that waited."""

    @property
    def _is_fed(self) -> bool:
        """Return whether the stream receives everything from now on."""
        return self._segment_id is not None or self._subscribed_ns is not None

    @property
    def _nobody_stores(self) -> bool:
        return self._segment_id is None and (self._beside is None or self._beside._segment_id is None)

    def follow(self, other: "PairedStream", liveness: Liveness) -> None:
        """Feed another stream's segment as well, on a connection that is to replace the other's."""
        self._beside, other._beside = other, self
        self._standby, self._liveness = True, liveness
        other._joined = other._segment_id is not None
        self._share(other)

    def in_step(self) -> bool:
        """Return whether nothing would be missed if the other connection ended now."""
        other = self._beside
        if other is None or self._segment_id is not None:
            return True
        self._compare(self._liveness)
        return self._joined and not self._held

    def stand_in(self, heard_ns: int) -> None:
        """Store from now on, in a new segment if nothing shows that the other stream's can be continued."""
        other = self._beside
        if other is None or not self._is_fed:
            return
        if other._segment_id is not None:
            other.end_segment("replaced", "the new connection never stood where the old one stood", heard_ns)
        elif self._segment_id is None:
            self._go_on_alone(heard_ns)

    def part(self) -> None:
        """Go on without the other connection's stream."""
        other = self._beside
        if other is not None:
            for one in (self, other):
                one._reject_held()
                one._beside = None

    def leave(self) -> None:
        """Store nothing from now on: the other connection's stream takes this one's place."""
        self._standby = True
        if self._beside is not None:
            self._beside._standby = False
        self.part()

    def lose(self, cause: str, detail: str, alive_until_ns: int | None) -> None:
        """End the segment, or leave it to the other connection's stream: what feeds this one is gone."""
        super().lose(cause, detail, alive_until_ns)
        self._leave_step()

    def retire(self, heard_ns: int, cause: str = RETIRED) -> None:
        """Store nothing from now on: the stream was removed."""
        self.leave()
        super().retire(heard_ns, cause)

    def end_segment(self, cause: str, detail: str, alive_until_ns: int | None) -> None:
        """Close the segment that is open, unless the other connection's stream can continue it."""
        if self._segment_id is None:
            return
        other = self._beside
        if other is None or cause in (NO_ROOM, CLOCK_STEP):
            self._close(cause, detail, alive_until_ns)
            return
        other._compare(other._liveness)
        if cause in FEED_IS_GONE and other._joined and not other._held:
            other._take_segment_of(self, other._liveness)
            return
        if other._held and alive_until_ns is not None:  # from there on this connection missed something
            alive_until_ns = min(alive_until_ns, other._held[0].received_at_ns)
        other._go_on_alone(self._close(cause, detail, alive_until_ns))

    def end_at_step(self, step_ns: int, heard_ns: int, detail: str) -> bool:
        """End the segment on the clock of before; what is held was received by that clock."""
        self._leave_step()
        return super().end_at_step(step_ns, heard_ns, detail)

    def _go_on_alone(self, after_ns: int) -> None:
        """Begin a segment of one's own with what is held, or with the next event."""
        if self._beside is not None:
            self._standby, self._beside._standby = False, True
            self._beside._joined = False
        if not self._is_fed or self._retired:
            return
        held, self._held = self._held, deque()
        for one in held:
            if one.received_at_ns < after_ns:  # a row of before would stand after the end of what it follows
                self._reject(self._receive(), UNSYNCED)
            else:
                self._store_held(one)
        self._joined = True
        self._cover_silence(max(after_ns, self._liveness.heard_ns))

    def _hold(self, held: Held) -> None:
        """Keep an event until the other stream stores it or ends; it is counted then, not now."""
        self._tally.received -= 1
        self._held.append(held)
        other = self._beside
        waited_ns = held.received_at_ns - self._held[0].received_at_ns
        if other is not None and (waited_ns > MOST_WAIT_NS or len(self._held) > MOST_HELD):
            owner = other if other._segment_id is not None else self
            words = "the other connection does not bring what came before"
            until_ns = self._held[0].received_at_ns
            self._go_on_alone(
                until_ns if owner._segment_id is None else owner._close("replaced", words, None)
            )

    def _count_stored(self, is_stored: Callable[[MarketData], bool]) -> None:
        """Count as merged those of the held events that are stored; the others stay held."""
        held, self._held = self._held, deque()
        for one in held:
            if is_stored(one.message):
                self._joined = True
                self._buffer.count_merged(self.number, self._receive())
            else:
                self._held.append(one)

    def _count_held_before(self) -> int:
        """Count what was held before the event that is settled now; returns how many came in with that."""
        self._tally.received -= 1
        self._count_held()
        return self._receive()

    def _leave_step(self) -> None:
        """Forget what was received and not stored: something after it is missing."""
        self._joined = False
        self._reject_held()

    def _reject_held(self) -> None:
        while self._held:
            self._held.popleft()
            self._reject(self._receive(), UNSYNCED)

    def _segment_for_a_row(self, received: int, received_at_ns: int, liveness: Liveness) -> int | None:
        """Return the open segment, the other stream's or a new one; None when there is no room."""
        other = self._beside
        if self._segment_id is None and other is not None and other._segment_id is not None:
            self._take_segment_of(other, liveness)
        return super()._segment_for_a_row(received, received_at_ns, liveness)

    def _take_segment_of(self, other: "PairedStream", liveness: Liveness) -> None:
        """Continue the other stream's segment, which is open."""
        assert other._segment_id is not None  # noqa: S101  (callers look first)
        self._standby, other._standby = False, True
        self._segment_id, other._segment_id = other._segment_id, None
        self._last_row_ns, self._fed_by = other._last_row_ns, liveness.connection
        self._buffer.move_segment(self._segment_id, liveness)

    def _cover_silence(self, from_ns: int) -> None:
        if self._beside is not None and self._nobody_stores:
            self._standby, self._beside._standby = False, True
        super()._cover_silence(from_ns)

    def _open_segment(self, start_ns: int, liveness: Liveness) -> int:
        self._standby, self._joined = False, True
        if self._beside is not None:
            self._beside._standby, self._beside._joined = True, False
        return super()._open_segment(start_ns, liveness)
