"""Describe the state of a running collector, read-only: for a table, a dashboard, a watchdog."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from collector.app.commit_measures import CommitMeasures
from collector.app.exchange_status import ExchangeStatuses
from collector.app.jobs import JobState
from collector.buffer import Buffer
from collector.events import (
    UNKNOWN,
    ChoreState,
    ClockStep,
    EventBus,
    FirstContact,
    PotentialHalt,
    SegmentChanged,
    State,
    StreamKey,
    StreamNow,
    SystemState,
)
from collector.network import BudgetNow, class_of_cause
from collector.sinks import AccountingState
from collector.writer import FollowerState, WriterThread

VERIFIED, SYNCING, DOWN, MISSING, LEFT = "verified", "syncing", "down", "missing", "left"
TOLD_AFTER = 3  # failures of a report in a row: one alone is no trouble
STOPPED_BY_US = {"stop", "unsubscribed", "left_universe"}  # segments end so when somebody asked for it


@dataclass(frozen=True, slots=True)
class StreamView:
    """One stream: its latest state, its counts, and its gaps."""

    key: StreamKey
    state: str  # down: no connection of its exchange stands; missing: nothing collects it; left: unasked
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
    alive: bool = True  # its thread runs
    last_commit_ns: int = 0  # when; 0: nothing is committed yet
    buffer_rows: int = 0  # now
    spool_bytes: int = 0
    spool_max_bytes: int = 1


@dataclass(frozen=True, slots=True)
class ReporterState:
    """What became of the reports so far."""

    name: str
    sent: int
    failed: int
    failures_in_a_row: int = 0
    last_error: str | None = None  # of these
    refused: int = 0  # metrics that are left out of them, since they are refused

    @property
    def trouble(self) -> str | None:
        """Return why it fails, if it has done so several times in a row."""
        return self.last_error if self.failures_in_a_row >= TOLD_AFTER else None


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
    loop_silent_s: float = 0.0  # since the loop that collects last turned; it does so every second
    loop_ended: bool = False  # its thread has ended, and nobody asked it to
    failing_chores: tuple[tuple[str, str], ...] = ()  # of housekeeping, each with its problem
    clock_stepped_ns: int = 0  # when the wall clock was last stepped; 0: never
    clock_steps: int = 0
    reconnects: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by exchange and class of cause
    holes: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by exchange and cause
    budgets: Mapping[str, tuple[BudgetNow, ...]] = field(default_factory=dict)  # of REST, by exchange
    commits: CommitMeasures = field(default_factory=CommitMeasures)
    reports: tuple[ReporterState, ...] = ()  # on the collector, to somewhere else
    jobs: tuple[JobState, ...] = ()

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
    def paused(self) -> tuple[str, ...]:
        """Return which exchanges refused a request over REST, and for how long none is made, in words."""
        return tuple(
            f"{exchange}: no request over REST for {one.closed_for_s:.0f} s, it refused one ({one.cause})"
            for exchange, budgets in self.budgets.items()
            for one in budgets
            if one.closed_for_s > 0.0
        )

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


class Remembered(TypedDict):
    """The part of a view that comes from events."""

    connections: dict[str, str]
    halts: int
    last_halt: PotentialHalt | None
    unreached: tuple[str, ...]
    statuses: tuple[str, ...]
    failing_chores: tuple[tuple[str, str], ...]
    clock_stepped_ns: int
    clock_steps: int
    reconnects: Mapping[tuple[str, str], int]
    holes: Mapping[tuple[str, str], int]


def view_of_writer(writer: WriterThread, buffer: Buffer) -> WriterView:
    """Return the state of the writer, of its spool, and of the buffer."""
    committed = writer.committed
    return WriterView(
        batches=committed.batches,
        rows=committed.rows,
        retries=committed.retries,
        last_commit_s=committed.last_commit_s,
        last_error=writer.last_error,
        buffer_high_rows=buffer.high_rows,
        buffer_max_rows=buffer.capacity_rows,
        spooled_rows=writer.balance.rows_in_spool,
        spilling=writer.spilling,
        breaker=writer.breaker.state.value,
        poison=committed.poison,
        broken_off=writer.broken_off,
        alive=writer.alive,
        last_commit_ns=committed.last_commit_ns,
        buffer_rows=buffer.rows,
        spool_bytes=writer.spool_bytes,
        spool_max_bytes=writer.spool_max_bytes,
    )


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
    failing_chores: dict[str, str] = field(default_factory=dict)
    clock_stepped_ns: int = 0
    clock_steps: int = 0
    reconnects: dict[tuple[str, str], int] = field(default_factory=dict)
    holes: dict[tuple[str, str], int] = field(default_factory=dict)
    _connected: dict[str, str] = field(default_factory=dict)  # connections that stand, with their exchange
    _troubles: dict[StreamKey, _Trouble] = field(default_factory=dict)
    _verified: set[StreamKey] = field(default_factory=set)

    def listen(self, events: EventBus) -> None:
        """Attach to the event bus."""
        events.attach(SystemState, self._on_state)
        events.attach(SegmentChanged, self._on_segment)
        events.attach(PotentialHalt, self._on_halt)
        events.attach(FirstContact, self._on_contact)
        events.attach(ChoreState, self._on_chore)
        events.attach(ClockStep, self._on_clock_step)

    def remembered(self) -> "Remembered":
        """Return what it keeps of connections and events, copied."""
        return Remembered(
            connections=dict(self.connections),
            halts=self.halts,
            last_halt=self.last_halt,
            unreached=tuple(self.unreached.copy().values()),
            statuses=self.statuses.troubles(),
            failing_chores=tuple(self.failing_chores.copy().items()),
            clock_stepped_ns=self.clock_stepped_ns,
            clock_steps=self.clock_steps,
            reconnects=self.reconnects.copy(),
            holes=self.holes.copy(),
        )

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
        if event.exchange:  # else it is of the collector itself
            self.connections[event.connection] = event.state.value
        self.statuses.take(event)
        if event.state in (State.DISCONNECTED, State.STOPPED, State.ERROR):
            self._connected.pop(event.connection, None)
            if event.state is State.DISCONNECTED:
                _count(self.reconnects, (event.exchange, class_of_cause(event.exchange, event.cause)))
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
            _count(self.holes, (event.exchange, event.cause))

    def _on_halt(self, event: PotentialHalt) -> None:
        self.halts += 1
        self.last_halt = event

    def _on_contact(self, event: FirstContact) -> None:
        if event.why is None:
            self.unreached.pop(event.exchange, None)
        else:
            self.unreached[event.exchange] = f"{event.exchange} at {event.address}: {event.why}"

    def _on_chore(self, event: ChoreState) -> None:
        if event.problem:
            self.failing_chores[event.chore] = event.problem
        else:
            self.failing_chores.pop(event.chore, None)

    def _on_clock_step(self, event: ClockStep) -> None:
        self.clock_stepped_ns = event.at_ns
        self.clock_steps += 1


def _count(counts: dict[tuple[str, str], int], key: tuple[str, str]) -> None:
    """Count one more. Each exchange's events come from one thread."""
    counts[key] = counts.get(key, 0) + 1
