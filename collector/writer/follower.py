"""Send what the store has committed to a further sink, at its own pace, without ever holding up the store.

A follower has a queue, a spool, a breaker, counts and threads of its own. Whatever its sink does, the store's
writer only ever appends to a bounded queue in memory: when that fills up, the follower's spool takes what
comes; when the spool is full as well, write sets are dropped for this follower alone, and counted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from collector.errors import SinkError
from collector.loggers import get_logger
from collector.sinks import PutCounts, Puts, Receipt, Rows, SessionState, Sink, SqlSink, Store, WriteSet
from collector.spool import AnySpool
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker
from collector.writer.limits import Limits
from collector.writer.sources import Inbox
from collector.writer.spool import unchanged
from collector.writer.thread import WriterThread

MOST_ROWS = 20_000  # in memory, of write sets that neither the sink nor the spool has taken

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FollowerState:
    """What became of the rows that a follower was given: those of streams, as the identity counts them."""

    name: str
    batches: int  # that its sink has stored
    rows: int  # that its sink has stored
    in_memory: int
    spooled: int  # brought in when its sink takes them, by a later start if need be
    dropped: int  # there was no room
    rejected: int  # its sink refused them for their content
    spilling: bool  # what comes goes to its spool
    breaker: str  # closed, open or half_open: whether its sink is tried
    spool: str  # the file
    last_error: str | None
    puts: PutCounts | None = None  # of one that puts records into a stream


class Follower:
    """One sink behind the store. `offer` belongs to the store's writer thread; the rest is for any thread."""

    def __init__(
        self,
        sink: Sink,
        spool_file: AnySpool,
        breaker: Breaker,
        balance: Balance,
        limits: Limits,
        *,
        session: SessionState,
        most_rows: int = MOST_ROWS,
        heard: Callable[[], int | None] = lambda: None,  # as `Turns` has it
    ) -> None:
        self.name = sink.name
        self._sink = sink
        self._balance = balance
        self._breaker = breaker
        self._is_dropping = False
        self._inbox = Inbox(
            balance,
            most_rows=most_rows,
            behind_at_rows=max(1, most_rows // 2),
            rows_a_write=sink.capabilities.most_rows,
            linger_s=sink.capabilities.linger_s,
        )
        self._writer = WriterThread(
            self._inbox,
            _OpenedLate(sink, session),
            spool_file,
            breaker,
            balance,
            limits,
            session_id=session.session_id,
            gets_on=lambda within_s: isinstance(sink, SqlSink) and sink.gets_on(within_s),
            name=sink.name,
            adopt=unchanged,
            heard=heard,
        )

    def open(self) -> None:
        """Open the spool, or raise UserError with what prevents it. The sink is opened when first used."""
        self._writer.open()

    def release(self) -> None:
        """Close the spool again where nothing was started. Idempotent."""
        self._writer.release()

    def start(self) -> None:
        """Start the threads: what the spool holds comes first."""
        self._writer.start()

    def offer(self, write_set: WriteSet, *, was_spooled: bool = False) -> None:
        """Take what the store has committed. Neither blocks nor raises; what finds no room is counted.

        One that was in the store's spool comes again if the process dies before it has left it.
        """
        is_taken = self._inbox.offer(write_set, is_alone=was_spooled)
        if self._inbox.is_behind:
            self._writer.spill()
        if not is_taken and not self._is_dropping:
            self._is_dropping = True
            log.error("follower.dropping", sink=self.name, error=self._writer.last_error)
        elif self._is_dropping and is_taken and not self._inbox.is_behind:
            self._is_dropping = False
            log.info("follower.takes_again", sink=self.name, dropped=self._balance.totals().dropped)

    def ask_to_stop(self) -> None:
        """Let the threads end once everything offered is durable. Idempotent."""
        self._writer.ask_to_stop()

    def stop(self, timeout_s: float) -> bool:
        """End within the time; what the sink has not taken stays in the spool. False if rows were lost."""
        is_whole = self._writer.stop(timeout_s)
        if not self._writer.alive:
            self._sink.close()
        return is_whole

    def state(self) -> FollowerState:
        """Return what became of everything so far."""
        totals, committed = self._balance.totals(), self._writer.committed
        puts = self._sink.put_counts if isinstance(self._sink, Puts) else None
        dead_rows = 0 if puts is None else puts.dead_rows
        return FollowerState(
            name=self.name,
            batches=committed.batches,
            rows=max(0, totals.written + totals.merged - dead_rows),  # counted before their batch is
            in_memory=totals.in_flight,
            spooled=totals.spooled,
            dropped=totals.dropped,
            rejected=committed.poison + dead_rows,
            spilling=self._writer.spilling,
            breaker=self._breaker.state.value,
            spool=str(self._writer.spool_path),
            last_error=self._problem(),
            puts=puts,
        )

    def _problem(self) -> str | None:
        failure = self._writer.failure
        return self._writer.last_error if failure is None else f"its writer failed: {failure!r}"


class _OpenedLate:
    """Opens the sink when it is first used, and makes every error one that a retry can help.

    A follower that is away, misconfigured or broken must neither prevent a start nor end a thread.
    """

    def __init__(self, sink: Sink, session: SessionState) -> None:
        self._sink = sink
        self._session = session
        self._is_open = False
        self.name = sink.name
        self.file = sink.file
        self.capabilities = sink.capabilities
        self.abort = sink.abort
        self.close = sink.close

    def open(self) -> None:
        if self._is_open:
            return
        self._sink.open()
        if isinstance(self._sink, Store):
            self._sink.claim(self._session, ())  # or another collector there would take us for dead
        self._is_open = True

    def write(self, write_set: WriteSet) -> Receipt:
        with _as_sink_errors():
            self.open()
            return self._sink.write(write_set)

    def refuses(self, rows: Rows) -> str | None:
        with _as_sink_errors():
            return self._sink.refuses(rows)


@contextmanager
def _as_sink_errors() -> Iterator[None]:
    try:
        yield
    except SinkError:
        raise
    except Exception as error:
        raise SinkError(str(error) or repr(error), transient=True) from error
