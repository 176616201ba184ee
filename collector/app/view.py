"""Describe the state of a running collector, read-only: for a table, a dashboard, a watchdog."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from collector.app.exchange_status import ExchangeStatuses
from collector.events.batch import UNKNOWN, StreamKey
from collector.events.bus import EventBus
from collector.events.notices import (
    FirstContact,
    PotentialHalt,
    SegmentChanged,
    State,
    StreamNow,
    SystemState,
)
from collector.sinks.contract import AccountingState
from collector.writer.follower import FollowerState

STOPPED_BY_US = {"stop", "unsubscribed"}  # segments end so when somebody asked for it


@dataclass(frozen=True, slots=True)
class StreamView:
    """One stream: its latest state, its counts, and its gaps."""

    key: StreamKey
    state: str  # verified, syncing, or down: no connection of its exchange stands
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
    def collected(self) -> tuple[StreamView, ...]:
        """Return the streams that were asked for, without those that count unreadable frames."""
        return tuple(stream for stream in self.streams if stream.key.symbol != UNKNOWN)

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
        self, accounting: Iterable[AccountingState], glances: Iterable[StreamNow]
    ) -> tuple[StreamView, ...]:
        """Return the view of each stream: its counts, its state and its gaps."""
        streams_now = {one.key: one for one in glances}
        up = set(self._connected.copy().values())
        views = []
        for counts in accounting:
            key = counts.key
            trouble = self._troubles.get(key) or _Trouble()
            syncing = "syncing" if key.exchange in up else "down"
            state = "verified" if key in self._verified else syncing
            views.append(
                StreamView(
                    key, state, counts, streams_now.get(key), trouble.gaps, trouble.cause, trouble.at_ns
                )
            )
        return tuple(views)

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
