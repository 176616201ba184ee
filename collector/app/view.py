"""Describe the state of a running collector, read-only: for a table, a dashboard, a watchdog."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from collector.app.exchange_status import ExchangeStatuses
from collector.events import (
    UNKNOWN,
    EventBus,
    FirstContact,
    PotentialHalt,
    SegmentChanged,
    State,
    StreamKey,
    StreamNow,
    SystemState,
)
from collector.sinks import AccountingState
from collector.writer import FollowerState

VERIFIED, SYNCING, DOWN, MISSING, LEFT = "verified", "syncing", "down", "missing", "left"
STOPPED_BY_US = {"stop", "unsubscribed"}  # segments end so when somebody asked for it


@dataclass(frozen=True, slots=True)
class StreamView:
    """One stream: its latest state, its counts, and its gaps."""

    key: StreamKey
    # verified; syncing; down: no connection of its exchange stands; missing: it is asked for, and nothing
    # collects it; left: it is asked for no longer.
    state: str
    counts: AccountingState
    glance: StreamNow | None
    gaps: int  # how often it ceased to be verified
    last_cause: str
    last_cause_ns: int


@dataclass(frozen=True, slots=True)
class WriterView:
    """The state of the writer and of the database."""

    batches: int
    rows: int
    retries: int
    last_commit_s: float
    last_error: str | None
    buffer_high_rows: int
    buffer_max_rows: int
    spooled_rows: int = 0  # on disk beside the database, until it takes them
    spilling: bool = False  # what comes goes there
    breaker: str = "closed"  # closed, open or half_open: whether the database is tried
    poison: int = 0  # rows refused for what they are
    broken_off: int = 0  # calls of the database that took too long


@dataclass(frozen=True, slots=True)
class View:
    """The state of a collector at one moment."""

    session_id: str
    database: str
    uptime_s: float
    answers: bool  # the websocket thread answered in time, and the writer thread runs
    streams: tuple[StreamView, ...]
    connections: dict[str, str]  # the state of each, by name
    writer: WriterView
    refused: tuple[str, ...]  # what was asked for and cannot be collected, and why
    halts: int
    last_halt: PotentialHalt | None
    unreached: tuple[str, ...] = ()  # exchanges from which nothing has come yet, and why
    followers: tuple[FollowerState, ...] = ()  # sinks behind the database
    statuses: tuple[str, ...] = ()  # exchanges that say they are not online, in words

    @property
    def asked(self) -> tuple[StreamView, ...]:
        """Return the streams that are asked for, whether anything is collected of them or not."""
        return tuple(one for one in self.streams if one.key.symbol != UNKNOWN and one.state != LEFT)

    @property
    def collected(self) -> tuple[StreamView, ...]:
        """Return the streams that are asked for and collected, verified now or not."""
        return tuple(stream for stream in self.asked if stream.state != MISSING)

    @property
    def missing(self) -> tuple[StreamView, ...]:
        """Return the streams that are asked for, and that nothing collects."""
        return tuple(stream for stream in self.streams if stream.state == MISSING)

    @property
    def pending(self) -> int:
        """Return how many events are received and not yet stored."""
        return sum(stream.counts.pending for stream in self.streams)

    @property
    def dropped(self) -> int:
        """Return how many events were dropped for want of room."""
        return sum(stream.counts.dropped for stream in self.streams)

    @property
    def difference(self) -> int:
        """Return how many events are not accounted for; 0 when the identity holds."""
        return sum(abs(stream.counts.difference) for stream in self.streams)


@dataclass(slots=True)
class _Trouble:
    gaps: int = 0
    cause: str = ""
    at_ns: int = 0


@dataclass(slots=True)
class Watch:
    """Keeps the state of streams and connections from events. Called in the publisher's thread."""

    connections: dict[str, str] = field(default_factory=dict)
    unreached: dict[str, str] = field(default_factory=dict)  # by exchange, why
    statuses: ExchangeStatuses = field(default_factory=ExchangeStatuses)
    halts: int = 0
    last_halt: PotentialHalt | None = None
    _connected: dict[str, str] = field(default_factory=dict)  # connections that stand, with their exchange
    _troubles: dict[StreamKey, _Trouble] = field(default_factory=dict)
    _verified: set[StreamKey] = field(default_factory=set)

    def listen(self, events: EventBus) -> None:
        """Attach to the event bus."""
        events.attach(SystemState, self._on_state)
        events.attach(SegmentChanged, self._on_segment)
        events.attach(PotentialHalt, self._on_halt)
        events.attach(FirstContact, self._on_contact)

    def streams(
        self,
        accounting: Iterable[AccountingState],
        glances: Iterable[StreamNow] | None,  # None: nobody answers
        expected: Iterable[StreamKey],
    ) -> tuple[StreamView, ...]:
        """Return the view of each stream that is asked for or was counted, exchange by exchange."""
        streams_now = None if glances is None else {one.key: one for one in glances}
        asked, counted = dict.fromkeys(expected), {counts.key: counts for counts in accounting}
        keys = dict.fromkeys((*counted, *asked))
        exchanges = list(dict.fromkeys(key.exchange for key in (*asked, *counted)))
        views = []
        for key in sorted(keys, key=lambda key: exchanges.index(key.exchange)):
            counts = counted.get(key) or AccountingState("", *key)
            trouble = self._troubles.get(key) or _Trouble()
            now = None if streams_now is None else streams_now.get(key)
            state = self._state(key, is_asked=key in asked, is_there=streams_now is None or now is not None)
            views.append(StreamView(key, state, counts, now, trouble.gaps, trouble.cause, trouble.at_ns))
        return tuple(views)

    def _state(self, key: StreamKey, *, is_asked: bool, is_there: bool) -> str:
        if key in self._verified:
            return VERIFIED
        if key.symbol != UNKNOWN and not is_asked:
            return LEFT
        if key.symbol != UNKNOWN and not is_there:
            return MISSING
        return SYNCING if key.exchange in self._connected.copy().values() else DOWN

    def _on_state(self, event: SystemState) -> None:
        self.connections[event.connection] = event.state.value
        self.statuses.take(event)
        if event.state in (State.DISCONNECTED, State.STOPPED):
            self._connected.pop(event.connection, None)
        elif event.state is State.CONNECTED:
            self._connected[event.connection] = event.exchange

    def _on_segment(self, event: SegmentChanged) -> None:
        key = event.key
        if event.verified:
            self._verified.add(key)
            return
        self._verified.discard(key)
        if event.cause not in STOPPED_BY_US:
            trouble = self._troubles.setdefault(key, _Trouble())
            trouble.gaps += 1
            trouble.cause, trouble.at_ns = event.cause, event.at_ns

    def _on_halt(self, event: PotentialHalt) -> None:
        self.halts += 1
        self.last_halt = event

    def _on_contact(self, event: FirstContact) -> None:
        if event.why is None:
            self.unreached.pop(event.exchange, None)
        else:
            self.unreached[event.exchange] = f"{event.exchange} at {event.address}: {event.why}"
