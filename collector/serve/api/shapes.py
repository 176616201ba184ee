"""Define the shape of every answer, as it stands in the OpenAPI document."""

from typing import Any

from typing_extensions import TypedDict


class ErrorShape(TypedDict):
    """Why there is no answer, and what was expected."""

    error: str
    reason: str
    expected: str


class Tick(TypedDict):
    """The latest trade of a market; where no trade is collected, the middle of its book without the rest."""

    symbol: str
    price: float
    quantity: float | None
    timestamp: int | None  # ms, the exchange's
    trade_id: str | None


class Book(TypedDict):
    """A book at one moment. No levels are shown while it is not verified."""

    exchange: str
    symbol: str
    name: str
    channel: str
    state: str
    sequence: int | None
    at_ns: int
    verification: str
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class Rows(TypedDict):
    """Rows, column by column named, and the cursor of the next page."""

    columns: list[str]
    rows: list[list[Any]]
    next: str | None


class Segment(TypedDict):
    """A stretch without a hole."""

    id: str
    start_ns: int
    end_ns: int
    cause: str | None
    detail: str
    verification: str
    rows: int
    open: bool
    filled: bool  # REST brought it afterwards


class Hole(TypedDict):
    """A stretch in which something may be missing, and why."""

    start_ns: int
    end_ns: int
    cause: str | None
    detail: str


class StreamCoverage(TypedDict):
    """What is covered of one stream, live and filled; both are shares of the time in which it was wanted."""

    exchange: str
    symbol: str
    channel: str
    covered: float | None
    filled: float | None
    segments: list[Segment]
    holes: list[Hole]


class Coverage(TypedDict):
    """What is covered within a span."""

    start_ns: int
    end_ns: int
    streams: list[StreamCoverage]
    next: str | None


class Gap(Hole):
    """A hole of a stream."""

    exchange: str
    symbol: str
    channel: str


class Gaps(TypedDict):
    """The holes within a span."""

    start_ns: int
    end_ns: int
    gaps: list[Gap]
    next: str | None


class Event(TypedDict):
    """Something that happened."""

    id: int
    at_ns: int
    kind: str
    level: str
    exchange: str | None
    symbol: str | None
    channel: str | None
    text: str


class Events(TypedDict):
    """What happened, the newest first."""

    events: list[Event]
    next: str | None


class Session(TypedDict):
    """A run of the program; `state` is running, ended, crashed, or open where nobody has closed it."""

    session_id: str
    state: str
    started_ns: int
    ended_ns: int | None
    end_cause: str | None
    written_ns: int | None
    version: str
    host: str
    pid: int
    wanted: dict[str, Any]


class Sessions(TypedDict):
    """Runs of the program, the newest first."""

    sessions: list[Session]
    next: str | None


class SymbolRow(TypedDict):
    """A market, the names that it has here, and what is or was collected of it."""

    exchange: str
    symbol: str
    name: str
    key: str
    market: str | None
    collected: bool
    channels: list[str]
    first_ns: int | None
    last_ns: int | None


class Symbols(TypedDict):
    """The markets that are collected or stored."""

    symbols: list[SymbolRow]


class Identity(TypedDict):
    """What became of every event. `difference` is what nobody accounts for: 0."""

    received: int
    carried_in: int
    written: int
    merged: int
    sampled_out: int
    rejected: int
    dropped: int
    pending: int
    difference: int


class StreamStats(Identity):
    """The same of one stream, and the reasons of rejections."""

    exchange: str
    symbol: str
    channel: str
    reasons: dict[str, int]


class Stats(TypedDict):
    """What became of every event, altogether and stream by stream."""

    total: Identity
    streams: list[StreamStats]


class Missing(TypedDict):
    """How many holes had one cause, and how long they were together."""

    holes: int
    seconds: float


class DayQuality(TypedDict):
    """How good the day of a stream was; what cannot be told is null."""

    day: str
    exchange: str
    symbol: str
    channel: str
    rows: int | None
    bytes: int | None
    covered_s: float
    covered: float | None
    filled: float | None
    holes: int
    holes_s: float
    holes_by_cause: dict[str, Missing]
    resyncs: int
    witnessed: int
    disagreed: int
    lag_p50_ms: float | None
    lag_p95_ms: float | None
    lag_p99_ms: float | None
    computed_ns: int


class Quality(TypedDict):
    """The report of some finished days, the newest day first; and which days have one, a year at most."""

    days: list[DayQuality]
    kept: list[str]


class Job(TypedDict):
    """Something done now and then, and what is known of its runs; times that are not there yet are null."""

    name: str
    what: str
    due: str
    running: bool
    runs: int  # since the start
    failures: int  # of these
    last_start_ns: int | None
    last_s: float | None
    last_result: str | None  # done, failed, out_of_time, stopped, left_to_another
    last_text: str
    last_error: str
    last_error_ns: int | None
    next_ns: int | None
    timeout_s: float | None


class Jobs(TypedDict):
    """The jobs of a running collector; where nobody collects, those of which a run is known."""

    session_id: str | None
    jobs: list[Job]


class Changed(TypedDict):
    """The streams that begin or end, until the next start."""

    exchange: str
    symbol: str
    streams: list[str]
    lasts: str
