"""Say what a sink is given and what it owes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from collector.events.batch import StreamKey

Value = float | int | str | None
Task = Callable[[Any], int]  # work on a connection of the sink's own kind; returns a count


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for one table, column by column, every column of the same length."""

    table: str  # "book" (the hot table, whatever its name in the database), "levels", "trades", "ohlcv", ...
    columns: Mapping[str, Sequence[Value]]
    stream: StreamKey | None = None  # of a table with a unique key: the one stream that all its rows are of

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values()), ()))


@dataclass(frozen=True, slots=True)
class SegmentState:
    """Where one coverage segment stands once its batch is committed; of its rows, how many the batch adds.

    What a segment began with (`start_ns`, `first_sequence`) is taken from the first batch that a database
    sees of it. Of later batches these two tell their own first row, so that a database that lost the
    segment's beginning says no more than it holds.
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


@dataclass(frozen=True, slots=True)
class AccountingState:
    """The terms of the identity for one session and stream: what a batch adds, or the sum so far."""

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
    def rejected_total(self) -> int:
        """Sum the rejections over their reasons."""
        return sum(self.rejected.values())

    @property
    def difference(self) -> int:
        """Tell by how much the identity is broken: 0 when every event is accounted for."""
        settled = self.written + self.merged + self.sampled_out + self.rejected_total + self.dropped
        return self.received + self.carried_in - settled - self.pending


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
    """All that one transaction commits.

    Accounting is what this batch adds; the batch id, committed with it, makes that happen once. Each row of
    "book", "trades" and "ohlcv" is counted there as written by its stream.
    """

    batch_id: str
    session: SessionState
    rows: tuple[Rows, ...] = ()
    segments: tuple[SegmentState, ...] = ()
    accounting: tuple[AccountingState, ...] = ()
    by: str = ""  # the session that writes it, where it is not its own: it was left in the spool

    @property
    def written_by(self) -> str:
        """Name the session that writes it."""
        return self.by or self.session.session_id

    @property
    def row_count(self) -> int:
        """Count the rows over all tables."""
        return sum(len(rows) for rows in self.rows)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch that is stored now."""

    repeated: bool = False  # a batch of this id was committed before; nothing is written again
    written_by: str = ""  # the session that committed it, if it was repeated
    merged: Mapping[StreamKey, int] = field(default_factory=dict)  # rows found to be there already


class Sink(Protocol):
    """Where batches end. Used by one thread, the writer's."""

    def open(self) -> None:
        """Make ready to write, or raise UserError saying what stands in the way."""

    def claiming(self, session: SessionState, streams: Iterable[StreamKey]) -> Task:
        """Return work that says who writes, and takes these streams as well.

        It raises DatabaseInUse naming who has one of them.
        """

    def write(self, write_set: WriteSet) -> Receipt:
        """Commit the batch in one transaction, and say what became of it.

        A row that turns out to be there already is moved from written to merged in that transaction. Raises
        SinkError, whose `transient` says whether another try can help.
        """

    def refuses(self, rows: Rows) -> str | None:
        """Say why these rows cannot be stored, or None if they can be. Stores nothing.

        Raises SinkError when that cannot be told now.
        """

    def run(self, task: Task) -> int:
        """Do work between batches, and return what it came to, or raise SinkError or UserError."""

    def abort(self) -> None:
        """Break off, from another thread, the call that is under way; it raises SinkError there."""

    def close(self) -> None:
        """Let go of everything. Idempotent."""
