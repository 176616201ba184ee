"""Take parcels to the database, one try a step. No thread of its own: a thread or a simulation calls it."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum, auto

import structlog

from collector.errors import SinkError, SpoolError
from collector.sinks.contract import Receipt, Rows, Sink
from collector.writer.breaker import Breaker, BreakerState
from collector.writer.poison import POISON, sift
from collector.writer.queued_write import QueuedWrite
from collector.writer.spool import Spool
from collector.writer.write_queue import WriteQueue

log = structlog.get_logger()


class Step(Enum):
    """What a step came to."""

    MOVED = auto()  # something is done: go on
    IDLE = auto()  # there was nothing to do
    REFUSED = auto()  # it is to be tried again, later


@dataclass(slots=True)
class Committed:
    """What is durable, as the writer saw it. Written by the writer thread, read by others."""

    batches: int = 0
    rows: int = 0
    retries: int = 0
    poison: int = 0  # rows that the database refused for what they are
    last_commit_s: float = 0.0  # how long the last commit took
    last_error: str | None = None


class ToDatabase:
    """The writer's step."""

    def __init__(
        self,
        queue: WriteQueue,
        spool: Spool,
        sink: Sink,
        breaker: Breaker,
        *,
        spill_after_s: float,
        watched: Callable[[], AbstractContextManager[None]] = nullcontext,
        now_ns: Callable[[], int] = time.time_ns,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._spool = spool
        self._sink = sink
        self._breaker = breaker
        self._relief_s = spill_after_s
        self._watched = watched
        self._now_ns = now_ns
        self._now_s = now_s
        self._refused_since_s: float | None = None
        self.committed = Committed()

    def step(self, *, swap: bool = True) -> Step:
        """Take the next queued and try the database once. `swap`: look into the buffer for it if need be."""
        if not self._breaker.ready():
            return Step.REFUSED
        try:
            queued = self._queue.writing or self._next(swap=swap)
        except SpoolError as error:
            self.committed.last_error = str(error)
            self._breaker.failed(str(error))  # what waits there comes first
            return Step.REFUSED
        if queued is None:
            return Step.IDLE
        began_s = self._now_s()
        try:
            with self._watched():
                receipt = self._sink.write(queued.write_set)
        except SinkError as error:
            self._refused(queued, error)
            return Step.REFUSED
        self._stored(queued, receipt, self._now_s() - began_s)
        return Step.MOVED

    def _next(self, *, swap: bool) -> QueuedWrite | None:
        if self._queue.spilling.is_set():
            queued = self._spool.first()
            if queued is not None:
                self._queue.hold(queued)
                return queued
            if not self._spool.empty:
                return None
            queued = self._queue.nothing_in_spool()
            if queued is not None:
                return queued
        return self._queue.take(swap=swap)

    def _stored(self, queued: QueuedWrite, receipt: Receipt, took_s: float) -> None:
        self._spool.settle(queued, receipt)
        self._queue.hold(None)
        self._breaker.succeeded()
        committed = self.committed
        if self._refused_since_s is not None:
            log.info("database.accepts_again", after_s=round(self._now_s() - self._refused_since_s, 3))
            self._refused_since_s = None
        committed.last_error = None
        committed.batches += 1
        committed.rows += queued.write_set.row_count
        committed.last_commit_s = took_s

    def _refused(self, queued: QueuedWrite, error: SinkError) -> None:
        self.committed.retries += 1
        self.committed.last_error = str(error)
        if self._refused_since_s is None:  # one line when it begins, one when it ends
            self._refused_since_s = self._now_s()
            log.warning("database.refused", error=str(error), transient=error.transient)
        if not error.transient:
            self._sift(queued, error)
            return
        self._breaker.failed(str(error))
        is_long = self._now_s() - self._refused_since_s > self._relief_s
        if self._breaker.state is BreakerState.OPEN or is_long:
            self._queue.spilling.set()
        if self._queue.spilling.is_set():
            self._spool.put(queued)  # and it stays in hand

    def _sift(self, queued: QueuedWrite, refused: SinkError) -> None:
        """Take what the database refuses for what it is out of the queued."""
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
        log.error("rows.rejected", reason=POISON, rows=found.found, error=str(refused))

    def _refuses(self, rows: Rows) -> str | None:
        with self._watched():
            return self._sink.refuses(rows)

    def _strip(self, queued: QueuedWrite, refused: SinkError) -> None:
        """Give up the rows of a queued that is refused though none of its rows is."""
        if queued.damage:  # it has no rows any more: this is no matter of content
            self._breaker.failed(str(refused))
            return
        log.error("batch.rejected", batch=queued.write_set.batch_id, error=str(refused))
        self._spool.keep_aside(queued, str(refused))


class ToSpool:
    """The spool's step."""

    def __init__(
        self, queue: WriteQueue, spool: Spool, on_arrival: Callable[[], None] = lambda: None
    ) -> None:
        self._queue = queue
        self._spool = spool
        self._on_arrival = on_arrival

    def step(self, *, swap: bool = True) -> Step:
        """Put the next queued into the spool; first of all what the writer holds and is not durable."""
        queued = self._queue.take_aside(swap=swap)
        if queued is None:
            return Step.IDLE
        if not self._spool.put(queued):
            return Step.REFUSED
        self._queue.put(queued)
        self._on_arrival()
        return Step.MOVED
