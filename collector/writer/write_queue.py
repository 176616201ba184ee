"""Keep the one order of all write sets, whoever takes the next: the writer, or the spool beside it.

As long as the database takes what comes (not spilling), the writer thread takes from here. While spilling,
the spool's thread does, and the writer takes from the spool, oldest first. Nothing overtakes.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from collector.events.batch import Batch
from collector.sinks.contract import WriteSet
from collector.writer.balance import Balance
from collector.writer.prepare import Preparation
from collector.writer.queued_write import QueuedWrite

ALIVE_EVERY_S = 1.0


class BatchSource(Protocol):
    """Where batches come from: the buffer."""

    def wait(self, timeout_s: float) -> None:
        """Wait until a flush is worth it, or the time is over."""

    def swap(self) -> Batch:
        """Take all that came since the last swap."""

    def hurry(self) -> None:
        """End a wait now."""


class WriteQueue:
    """What is taken next, and what is in whose hands. For both threads."""

    def __init__(
        self,
        source: BatchSource,
        preparation: Preparation,
        balance: Balance,
        *,
        spill_at_rows: int,
        now_ns: Callable[[], int] = time.time_ns,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._preparation = preparation
        self._balance = balance
        self._relief_rows = spill_at_rows
        self._now_ns = now_ns
        self._now_s = now_s
        self.spilling = threading.Event()
        self._lock = threading.Lock()
        # Guarded by _lock: all below.
        self.writing: QueuedWrite | None = None  # on its way to the database
        self.spooling: QueuedWrite | None = None  # on its way to the spool
        self._number = 0
        self._write_sets: Iterator[WriteSet] = iter(())
        self._next_alive_s = 0.0
        self._stopping = False
        self._ending = False  # the last batch is being taken
        self._exhausted = False

    def begin(self, last_number: int, *, spilling: bool) -> None:
        """Go on after the numbers that are in the spool."""
        self._number = last_number
        if spilling:
            self.spilling.set()

    def stop(self) -> None:
        """Let the next batch be the last."""
        with self._lock:
            self._stopping = True

    @property
    def stopping(self) -> bool:
        """Say whether the end was asked for."""
        return self._stopping

    @property
    def durable(self) -> bool:
        """Say whether all is taken, to the last, and is in the database or in the spool."""
        with self._lock:
            in_writing = self.writing is not None and not self.writing.spooled
            return self._exhausted and not in_writing and self.spooling is None

    def take(self, *, swap: bool) -> QueuedWrite | None:
        """Take the next for the database; None while spilling, or when there is nothing."""
        with self._lock:
            if self.writing is None and not self.spilling.is_set():
                self.writing = self._next(swap=swap)
            return self.writing

    def take_aside(self, *, swap: bool) -> QueuedWrite | None:
        """Take the next for the spool, what the writer holds before all; None unless spilling."""
        with self._lock:
            if not self.spilling.is_set():
                return None
            if self.writing is not None and not self.writing.spooled:
                return self.writing
            if self.spooling is None:
                self.spooling = self._next(swap=swap)
            return self.spooling

    def put(self, queued: QueuedWrite) -> None:
        """Note that a queued is in the spool."""
        with self._lock:
            if self.spooling is queued:
                self.spooling = None

    def hold(self, queued: QueuedWrite | None) -> None:
        """Note what the writer has in its hands out of the spool, or that it has done with it."""
        with self._lock:
            self.writing = queued

    def nothing_in_spool(self) -> QueuedWrite | None:
        """Take what was on its way into the empty spool, or, if there is nothing, cease to spill."""
        with self._lock:
            if self.spooling is not None:
                self.writing, self.spooling = self.spooling, None
                return self.writing
            self.spilling.clear()
            return None

    def _next(self, *, swap: bool) -> QueuedWrite | None:
        write_set = next(self._write_sets, None)
        if write_set is None and self._ending:
            self._exhausted = True
        elif write_set is None and swap:
            self._write_sets = self._swapped()
            write_set = next(self._write_sets, None)
        if write_set is None:
            return None
        self._number += 1
        return QueuedWrite(self._number, write_set)

    def _swapped(self) -> Iterator[WriteSet]:
        self._ending = self._stopping  # asked before the swap: what came until then is in it
        extend_alive = self._ending or self._now_s() >= self._next_alive_s
        if extend_alive:
            self._next_alive_s = self._now_s() + ALIVE_EVERY_S
        batch = self._balance.swap(self._source.swap)
        if batch.rows + len(batch.trades) + len(batch.candles) >= self._relief_rows:
            self.spilling.set()
        return self._all_of(batch, extend_alive=extend_alive, ending=self._ending)

    def _all_of(self, batch: Batch, *, extend_alive: bool, ending: bool) -> Iterator[WriteSet]:
        yield from self._preparation.write_sets(batch, extend_alive=extend_alive, is_last=ending)
        if ending:
            yield self._preparation.ended(self._now_ns(), "stop")
