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
        line: WriteQueue,
        shelf: Spool,
        sink: Sink,
        breaker: Breaker,
        *,
        relief_s: float,
        watched: Callable[[], AbstractContextManager[None]] = nullcontext,
        now_ns: Callable[[], int] = time.time_ns,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = line
        self._shelf = shelf
        self._sink = sink
        self._breaker = breaker
        self._relief_s = relief_s
        self._watched = watched
        self._now_ns = now_ns
        self._now_s = now_s
        self._refused_since_s: float | None = None
        self.committed = Committed()

    def step(self, *, swap: bool = True) -> Step:
        """Take the next parcel and try the database once. `swap`: look into the buffer for it if need be."""
        if not self._breaker.ready():
            return Step.REFUSED
        try:
            parcel = self._line.hand or self._next(swap=swap)
        except SpoolError as error:
            self.committed.last_error = str(error)
            self._breaker.failed(str(error))  # what waits there comes first
            return Step.REFUSED
        if parcel is None:
            return Step.IDLE
        began_s = self._now_s()
        try:
            with self._watched():
                receipt = self._sink.write(parcel.write_set)
        except SinkError as error:
            self._refused(parcel, error)
            return Step.REFUSED
        self._stored(parcel, receipt, self._now_s() - began_s)
        return Step.MOVED

    def _next(self, *, swap: bool) -> QueuedWrite | None:
        if self._line.spilling.is_set():
            parcel = self._shelf.first()
            if parcel is not None:
                self._line.hold(parcel)
                return parcel
            if not self._shelf.empty:
                return None
            parcel = self._line.nothing_in_spool()
            if parcel is not None:
                return parcel
        return self._line.take(swap=swap)

    def _stored(self, parcel: QueuedWrite, receipt: Receipt, took_s: float) -> None:
        self._shelf.settle(parcel, receipt)
        self._line.hold(None)
        self._breaker.succeeded()
        committed = self.committed
        if self._refused_since_s is not None:
            log.info("database.accepts_again", after_s=round(self._now_s() - self._refused_since_s, 3))
            self._refused_since_s = None
        committed.last_error = None
        committed.batches += 1
        committed.rows += parcel.write_set.row_count
        committed.last_commit_s = took_s

    def _refused(self, parcel: QueuedWrite, error: SinkError) -> None:
        self.committed.retries += 1
        self.committed.last_error = str(error)
        if self._refused_since_s is None:  # one line when it begins, one when it ends
            self._refused_since_s = self._now_s()
            log.warning("database.refused", error=str(error), transient=error.transient)
        if not error.transient:
            self._sift(parcel, error)
            return
        self._breaker.failed(str(error))
        is_long = self._now_s() - self._refused_since_s > self._relief_s
        if self._breaker.state is BreakerState.OPEN or is_long:
            self._line.spilling.set()
        if self._line.spilling.is_set():
            self._shelf.put(parcel)  # and it stays in hand

    def _sift(self, parcel: QueuedWrite, refused: SinkError) -> None:
        """Take what the database refuses for what it is out of the parcel."""
        if parcel.sifted:
            self._strip(parcel, refused)
            return
        try:
            found = sift(parcel.write_set, self._refuses, self._now_ns())
        except SinkError as error:
            self._breaker.failed(str(error))
            return
        parcel.sifted = True
        self._shelf.reject(parcel, found.rejected, POISON, found.write_set)
        self.committed.poison += found.found
        log.error("rows.rejected", reason=POISON, rows=found.found, error=str(refused))

    def _refuses(self, rows: Rows) -> str | None:
        with self._watched():
            return self._sink.refuses(rows)

    def _strip(self, parcel: QueuedWrite, refused: SinkError) -> None:
        """Give up the rows of a parcel that is refused though none of its rows is."""
        if parcel.damage:  # it has no rows any more: this is no matter of content
            self._breaker.failed(str(refused))
            return
        log.error("batch.rejected", batch=parcel.write_set.batch_id, error=str(refused))
        self._shelf.keep_aside(parcel, str(refused))


class ToSpool:
    """The spool's step."""

    def __init__(self, line: WriteQueue, shelf: Spool, on_arrival: Callable[[], None] = lambda: None) -> None:
        self._line = line
        self._shelf = shelf
        self._on_arrival = on_arrival

    def step(self, *, swap: bool = True) -> Step:
        """Put the next parcel into the spool; first of all what the writer holds and is not durable."""
        parcel = self._line.take_aside(swap=swap)
        if parcel is None:
            return Step.IDLE
        if not self._shelf.put(parcel):
            return Step.REFUSED
        self._line.put(parcel)
        self._on_arrival()
        return Step.MOVED
