"""Move write sets: to the sink, and to the spool. One attempt a step; a thread or a simulation calls it."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum, auto

from collector.database import POISON
from collector.errors import SinkError, SpoolError
from collector.loggers import get_logger
from collector.sinks import Receipt, Rows, Sink, WriteSet
from collector.writer.breaker import Breaker, BreakerState
from collector.writer.poison import sift
from collector.writer.queued_write import QueuedWrite
from collector.writer.spool import Spool
from collector.writer.write_queue import WriteQueue

# Called with what was stored, how long that took, and whether it was in the spool; neither blocks nor raises.
OnCommit = Callable[[WriteSet, float, bool], None]

log = get_logger(__name__)


class Step(Enum):
    """The outcome of a step."""

    MOVED = auto()  # something was done: go on
    IDLE = auto()  # there was nothing to do
    REFUSED = auto()  # try again, later


@dataclass(slots=True)
class Committed:
    """What the sink has stored. Written by the writer thread, read by others."""

    batches: int = 0
    rows: int = 0
    retries: int = 0
    poison: int = 0  # rows that the sink refused for their content
    last_commit_s: float = 0.0  # how long the last commit took
    last_commit_ns: int = 0  # when it ended; 0: there was none
    last_error: str | None = None


class ToSink:
    """Writes the next write set to the sink. The writer thread's step."""

    def __init__(
        self,
        queue: WriteQueue,
        spool: Spool,
        sink: Sink,
        breaker: Breaker,
        *,
        spill_after_s: float,
        sink_name: str = "",  # in log lines, where there are several
        on_commit: OnCommit = lambda _write_set, _took_s, _was_spooled: None,
        watched: Callable[[], AbstractContextManager[None]] = nullcontext,
        now_ns: Callable[[], int] = time.time_ns,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._spool = spool
        self._sink = sink
        self._breaker = breaker
        self._spill_after_s = spill_after_s
        self._on_commit = on_commit
        self._log = log.bind(sink=sink_name) if sink_name else log
        self._watched = watched
        self._now_ns = now_ns
        self._now_s = now_s
        self._refused_since_s: float | None = None
        self.committed = Committed()

    def step(self, *, fetch: bool = True) -> Step:
        """Take the next write set and try the sink once. `fetch`: ask the source for more if need be."""
        if not self._breaker.ready():
            return Step.REFUSED
        try:
            queued = self._queue.writing or self._next(fetch=fetch)
        except SpoolError as error:
            self.committed.last_error = str(error)
            self._breaker.failed(str(error))  # what waits in the spool comes first
            return Step.REFUSED
        if queued is None:
            return Step.IDLE
        self._spool.after_loss(queued)
        began_s = self._now_s()
        try:
            with self._watched():
                receipt = self._sink.write(queued.write_set)
        except SinkError as error:
            self._refused(queued, error)
            return Step.REFUSED
        self._stored(queued, receipt, self._now_s() - began_s)
        return Step.MOVED

    def _next(self, *, fetch: bool) -> QueuedWrite | None:
        if self._queue.spilling.is_set():
            queued = self._spool.first()
            if queued is not None:
                self._queue.hold(queued)
                return queued
            if not self._spool.empty:
                return None
            queued = self._queue.nothing_in_spool(lambda: self._spool.empty)
            if queued is not None:
                return queued
        return self._queue.take(fetch=fetch)

    def _stored(self, queued: QueuedWrite, receipt: Receipt, took_s: float) -> None:
        self._on_commit(_as_committed(queued, receipt), took_s, queued.spooled)
        self._spool.settle(queued, receipt)
        self._queue.hold(None)
        self._breaker.succeeded()
        committed = self.committed
        if self._refused_since_s is not None:
            self._log.info("database.accepts_again", after_s=round(self._now_s() - self._refused_since_s, 3))
            self._refused_since_s = None
        committed.last_error = None
        committed.batches += 1
        committed.rows += queued.write_set.row_count
        committed.last_commit_s = took_s
        committed.last_commit_ns = self._now_ns()

    def _refused(self, queued: QueuedWrite, error: SinkError) -> None:
        self.committed.retries += 1
        self.committed.last_error = str(error)
        if self._refused_since_s is None:  # one line when it begins, one when it ends
            self._refused_since_s = self._now_s()
            self._log.warning("database.refused", error=str(error), transient=error.transient)
        if not error.transient:
            self._sift(queued, error)
            return
        self._breaker.failed(str(error))
        is_long = self._now_s() - self._refused_since_s > self._spill_after_s
        if self._breaker.state is BreakerState.OPEN or is_long:
            self._queue.spilling.set()
        if self._queue.spilling.is_set():
            self._spool.put(queued)  # and it is still the one being written

    def _sift(self, queued: QueuedWrite, refused: SinkError) -> None:
        """Take the rows out of the write set that the sink refuses for their content."""
        if queued.sifted:
            self._strip(queued, refused)
            return
        try:
            found = sift(queued.write_set, self._refuses, self._now_ns())
        except SinkError as error:
            self._breaker.failed(str(error))
            return
        queued.sifted = True
        self._spool.reject(queued, found.rejected, POISON, found.write_set)
        self.committed.poison += found.found
        self._log.error("rows.rejected", reason=POISON, rows=found.found, error=str(refused))

    def _refuses(self, rows: Rows) -> str | None:
        with self._watched():
            return self._sink.refuses(rows)

    def _strip(self, queued: QueuedWrite, refused: SinkError) -> None:
        """Give up the rows of a write set that is refused though none of its rows is."""
        if queued.damage:  # it has no rows any more: the content is not the reason
            self._breaker.failed(str(refused))
            return
        self._log.error("batch.rejected", batch=queued.write_set.batch_id, error=str(refused))
        self._spool.keep_aside(queued, str(refused))


def _as_committed(queued: QueuedWrite, receipt: Receipt) -> WriteSet:
    """Return the write set as the sink holds it: as we wrote it, or as the session before us had."""
    if receipt.repeated and receipt.written_by != queued.write_set.written_by and queued.original is not None:
        return queued.original
    return queued.write_set


class ToSpool:
    """Puts the next write set into the spool. The spool thread's step."""

    def __init__(
        self, queue: WriteQueue, spool: Spool, on_arrival: Callable[[], None] = lambda: None
    ) -> None:
        self._queue = queue
        self._spool = spool
        self._on_arrival = on_arrival

    def step(self, *, fetch: bool = True) -> Step:
        """Spool the next write set; before all others the one that is being written, unless it is spooled."""
        queued = self._queue.take_aside(fetch=fetch)
        if queued is None:
            return Step.IDLE
        if not self._spool.put(queued):
            return Step.REFUSED
        self._queue.spooled(queued)
        self._on_arrival()
        return Step.MOVED
