"""Define what a sink is given, what it returns and what it must do."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar, dataclass_transform, runtime_checkable

from collector.events import StreamKey

Value = float | int | str | None
Made = TypeVar("Made")
Handle_co = TypeVar("Handle_co", covariant=True)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def _checked_value(cls: type[Made]) -> type[Made]:
    """Make a dataclass that is frozen to the type checker alone: there are several a batch and stream.

    To make one that is frozen at run time takes three times as long: each field is set by a call.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for one table, column by column, every column of the same length."""

    table: str  # "book" (the hot table, whatever its name in the database), "levels", "trades", "ohlcv", ...
    columns: Mapping[str, Sequence[Value]]
    stream: StreamKey | None = None  # of a table with a unique key: the one stream that all its rows are of

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values()), ()))


@_checked_value
class SegmentState:
    """The state of one coverage segment once its batch is committed; `rows` counts this batch's rows alone.

    The first batch of a segment that a database gets sets its `start_ns` and `first_sequence`. In later
    batches they are those of the batch's own first row, so that a database that lost the beginning of the
    segment claims no more than it holds.

    A segment that ends for one of GIVEN_UP ends before what was lost. If `rows` is 0, its last row is in an
    earlier batch, and so is how far it covers. Later batches may name it again: what they bring comes after
    the hole and belongs to a segment of its own.
    """

    segment_id: int
    session_id: str
    exchange: str
    symbol: str
    channel: str
    start_ns: int
    end_ns: int  # receipt of the last proven update
    alive_until_ns: int
    first_sequence: int | None
    last_sequence: int | None
    rows: int  # of this batch alone
    verification: str
    end_cause: str | None = None
    detail: str | None = None
    witnessed: int = 0
    disagreed: int = 0

    @property
    def key(self) -> StreamKey:
        """Return the stream that it is of."""
        return StreamKey(self.exchange, self.symbol, self.channel)


@_checked_value
class AccountingState:
    """The counts of one session and stream: what a batch adds, or the sum so far."""

    session_id: str
    exchange: str
    symbol: str
    channel: str
    received: int = 0
    carried_in: int = 0
    written: int = 0
    merged: int = 0
    sampled_out: int = 0
    dropped: int = 0
    pending: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)  # by reason

    @property
    def key(self) -> StreamKey:
        """Return the stream that it is of."""
        return StreamKey(self.exchange, self.symbol, self.channel)

    @property
    def rejected_total(self) -> int:
        """Sum the rejections over their reasons."""
        return sum(self.rejected.values())

    @property
    def difference(self) -> int:
        """Return how many events are not accounted for: 0 when the identity holds."""
        settled = self.written + self.merged + self.sampled_out + self.rejected_total + self.dropped
        return self.received + self.carried_in - settled - self.pending

    def __add__(self, other: "AccountingState") -> "AccountingState":
        """Return the sum of two counts of one session and stream."""
        return replace(
            self,
            received=self.received + other.received,
            carried_in=self.carried_in + other.carried_in,
            written=self.written + other.written,
            merged=self.merged + other.merged,
            sampled_out=self.sampled_out + other.sampled_out,
            dropped=self.dropped + other.dropped,
            pending=self.pending + other.pending,
            rejected=Counter(self.rejected) + Counter(other.rejected),
        )


@dataclass(frozen=True, slots=True)
class SessionState:
    """One run of the program."""

    session_id: str
    started_ns: int
    version: str
    host: str
    pid: int
    wanted: str  # JSON: the streams asked for
    ended_ns: int | None = None
    end_cause: str | None = None


@dataclass(frozen=True, slots=True)
class WriteSet:
    """Everything that one transaction commits.

    Accounting holds what this batch adds; the batch id, committed with it, makes that happen once. Each row
    of "book", "trades" and "ohlcv" is counted there as written by its stream.
    """

    batch_id: str
    session: SessionState
    rows: tuple[Rows, ...] = ()
    segments: tuple[SegmentState, ...] = ()
    accounting: tuple[AccountingState, ...] = ()
    by: str = ""  # the session that writes it, if not its own: it was left in the spool
    is_after_loss: bool = False  # a batch of its session was lost before it, of which streams is not known

    @property
    def written_by(self) -> str:
        """Return the id of the session that writes it."""
        return self.by or self.session.session_id

    @property
    def row_count(self) -> int:
        """Count the rows over all tables."""
        return sum(len(rows) for rows in self.rows)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a write set."""

    repeated: bool = False  # a batch of this id was committed before; nothing is written again
    written_by: str = ""  # the session that committed it, if it was repeated
    merged: Mapping[StreamKey, int] = field(default_factory=dict)  # rows that were there before the batch


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a sink can do."""

    transactions: bool  # a write set is stored as a whole or not at all
    idempotent: bool  # a write set whose batch id was stored before changes nothing
    shared: bool = False  # several collectors may write to it at once, each its own streams
    most_rows: int | None = None  # in one write; larger write sets are split; None: any number
    linger_s: float = 0.0  # write sets that come within this time reach a follower as one


class Sink(Protocol):
    """Where write sets end. Used by one thread, its writer's."""

    @property
    def name(self) -> str:
        """Return what to call it in messages: its address without a password."""

    @property
    def file(self) -> Path | None:
        """Return the file that it keeps on this machine; None if there is none."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do."""

    def open(self) -> None:
        """Prepare for writing, or raise UserError with what prevents it. Idempotent."""

    def write(self, write_set: WriteSet) -> Receipt:
        """Store the write set and return what became of it.

        With transactions: all of it or nothing; a row that is there already moves from written to merged in
        that transaction. Raises SinkError, whose `transient` says whether a retry can help.
        """

    def refuses(self, rows: Rows) -> str | None:
        """Return why these rows cannot be stored, or None if they can be. Stores nothing.

        Raises SinkError when that cannot be found out now.
        """

    def abort(self) -> None:
        """Interrupt, from another thread, the call in progress: it raises SinkError there."""

    def close(self) -> None:
        """Release everything. Idempotent."""


@runtime_checkable
class Examined(Sink, Protocol):
    """A sink that can say whether it could be written to."""

    def examine(self) -> str:
        """Return what was found, in words; it is open. Raises SinkError with what prevents writing."""


@runtime_checkable
class Store(Sink, Protocol[Handle_co]):
    """The one sink that holds coverage and accounting: each batch exactly once.

    `Handle_co` is what it gives maintenance to work with, such as a database connection.
    """

    @property
    def identity(self) -> str:
        """Return what tells it from every other store, wherever it moves; empty until it was open once."""

    def knows(self, sessions: Collection[str]) -> bool:
        """Return whether one of these sessions, by id, has written here; it is open."""

    def claim(self, session: SessionState, streams: Iterable[StreamKey]) -> int:
        """Record the session and reserve these streams for it; return how many they are.

        Raises DatabaseInUse naming the collector that holds one of them.
        """

    def maintain(self, task: Callable[[Handle_co], int]) -> int:
        """Run the task between two writes and return its result, or raise SinkError or UserError."""
