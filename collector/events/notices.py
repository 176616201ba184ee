"""Define what is published about collecting (for logs, bots, dashboards), and a stream's present state."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from collector.events.batch import StreamKey
from collector.events.market import L2Update, Trade, next_id, utc


class State(StrEnum):
    """What a connection to an exchange can be, and what an exchange can say of itself."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    STOPPED = "stopped"
    ERROR = "error"  # it ended and does not go on by itself
    ONLINE = "online"
    MAINTENANCE = "maintenance"
    CANCEL_ONLY = "cancel_only"
    POST_ONLY = "post_only"
    LIMIT_ONLY = "limit_only"
    SHUTTING_DOWN = "server_shutdown"
    OTHER = "other"  # a word that we do not know; it stands in `cause`

    @classmethod
    def said(cls, word: str) -> "State":
        """Return the state for an exchange's own word."""
        found = cls(word) if word in cls._value2member_map_ else cls.OTHER
        return cls.OTHER if found in OF_CONNECTIONS else found


OF_CONNECTIONS = frozenset({State.CONNECTED, State.DISCONNECTED, State.STOPPED, State.ERROR})


class Timed(Protocol):
    """What has a time."""

    @property
    def at_ns(self) -> int:
        """Return it in nanoseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event with an id, which grows as that of market events does. Two that say the same are equal."""

    id: int = field(default_factory=next_id, compare=False, repr=False, kw_only=True)

    @property
    def at(self: Timed) -> datetime:
        """Return when it was, UTC, to the microsecond."""
        return utc(self.at_ns)


@dataclass(frozen=True, slots=True)
class SystemState(Numbered):
    """A connection changed its state, an exchange said that it did, or a thread of the collector died."""

    exchange: str  # empty: it is of the collector itself
    connection: str
    state: State
    at_ns: int
    cause: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """A connection was lost, or could not be made; it is dialled again after a wait."""

    exchange: str
    connection: str
    at_ns: int
    failures: int  # in a row; 0 where it had served for a while
    wait_s: float
    cause: str  # a short word, as in coverage
    detail: str
    close_code: int | None  # of the websocket, where the exchange closed it
    is_refused: bool  # the exchange refuses: the wait is long


@dataclass(frozen=True, slots=True)
class SegmentChanged:
    """A stream became verified, or ceased to be."""

    exchange: str
    symbol: str
    channel: str
    segment_id: int
    at_ns: int
    verified: bool
    cause: str = ""
    detail: str = ""
    connection: str = ""  # that fed it

    @property
    def key(self) -> StreamKey:
        """Return the stream that it is of."""
        return StreamKey(self.exchange, self.symbol, self.channel)


@dataclass(frozen=True, slots=True)
class StreamVerified(Numbered):
    """Trades or bars that were in trouble are verified again: they had broken, or an alarm was out."""

    exchange: str
    symbol: str
    channel: str
    at_ns: int  # from when on
    lost_at_ns: int  # until when it was verified, or when the alarm went out
    cause: str  # what the trouble was, as in coverage; or the code of the alarm

    @property
    def key(self) -> StreamKey:
        """Return the stream that it is of."""
        return StreamKey(self.exchange, self.symbol, self.channel)


@dataclass(frozen=True, slots=True)
class BookVerified(StreamVerified):
    """A book, or the best prices of a market, are verified again; published before their first update."""


@dataclass(frozen=True, slots=True)
class SnapshotFailed:
    """A snapshot could not be fetched; it is asked for again."""

    exchange: str
    symbol: str
    at_ns: int
    detail: str


@dataclass(frozen=True, slots=True)
class WitnessDisagreed:
    """A book and another channel differ, for the first time in the book's segment, which goes on."""

    exchange: str
    symbol: str
    channel: str
    at_ns: int
    detail: str


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """An exchange refused to subscribe streams for now, or to unsubscribe one (`again_in_s` is None)."""

    exchange: str
    connection: str
    at_ns: int
    topics: tuple[str, ...]  # as the exchange calls them
    words: str
    again_in_s: float | None


@dataclass(frozen=True, slots=True)
class RequestsPaused:
    """An exchange refused a request over REST, and is asked for nothing more there until `until_ns`."""

    exchange: str
    at_ns: int
    until_ns: int
    cause: str


@dataclass(frozen=True, slots=True)
class RequestsWait:
    """A request over REST had to wait long for want of budget; published once a spell."""

    exchange: str
    at_ns: int
    need: str  # broken, first, edge, question, markets, witness or backfill
    waited_s: float
    waiting: int  # others


@dataclass(frozen=True, slots=True)
class PotentialHalt(Numbered):
    """Something went wrong so often, or so finally, that a trading system should consider stopping."""

    exchange: str
    code: str
    reason: str
    at_ns: int
    symbol: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """The database is left alone, tried again, or takes batches again: the circuit breaker's state."""

    state: str  # closed, open, half_open
    at_ns: int
    cause: str = ""
    rows_waiting: int = 0  # in memory and in the spool


@dataclass(frozen=True, slots=True)
class ChoreState:
    """A chore of housekeeping failed, and is tried again; or, without a problem, it works again."""

    chore: str  # batches, events, rejected, archive, tidy
    at_ns: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock jumped; receipt times were anchored anew."""

    at_ns: int
    step_s: float


@dataclass(frozen=True, slots=True)
class FirstContact:
    """An exchange that nothing has come from yet cannot be reached (`why` says so), or now it can (None)."""

    exchange: str
    at_ns: int
    address: str
    why: str | None


@dataclass(frozen=True, slots=True)
class StreamNow:
    """One stream at one moment. Prices are None where there are none."""

    key: StreamKey
    verified: bool
    bid: float | None = None
    ask: float | None = None
    received_at_ns: int = 0  # receipt of the last message that said something new; 0: none yet
    exchange_ms: int | None = None  # that message's time by the exchange
    book: L2Update | None = None  # the verified book now, its best ten levels
    trade: Trade | None = None  # the latest
    market_id: str = ""  # what the exchange calls the market

    @property
    def lag_ms(self) -> float | None:
        """Return how long the last message was on its way; None where the exchange sends no time."""
        if self.exchange_ms is None or not self.received_at_ns:
            return None
        return self.received_at_ns / 1e6 - self.exchange_ms


@dataclass(frozen=True, slots=True)
class BookNow:
    """One book at one moment. `book` is None while it is not verified."""

    key: StreamKey
    verification: str
    book: L2Update | None


Notice = (
    SystemState
    | SegmentChanged
    | SnapshotFailed
    | WitnessDisagreed
    | PotentialHalt
    | DatabaseState
    | ChoreState
    | ClockStep
)
