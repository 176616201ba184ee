"""Keep all write sets in one order, whichever thread takes the next: the writer, or the spool beside it.

While the sink takes what comes (not spilling), the writer thread takes from here. While spilling, the spool's
thread takes from here, and the writer takes from the spool, oldest first. Nothing overtakes.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from collector.sinks import WriteSet
from collector.writer.queued_write import QueuedWrite


class WriteSource(Protocol):
    """Where write sets come from: the buffer, or an inbox."""

    def wait(self, timeout_s: float) -> None:
        """Wait until a write is worth it, or the time is over."""

    def hurry(self) -> None:
        """End a wait now."""

    def write_sets(self, *, is_last: bool) -> Iterator[WriteSet]:
        """Take what has come in; with `is_last`, also what ends the session. For one thread at a time."""

    @property
    def is_behind(self) -> bool:
        """Return whether so much had piled up that the spool must take it."""

    def abandon(self) -> None:
        """Count what was never taken as in flight: no thread will come for it."""


class WriteQueue:
    """What comes next, what is being written and what is being spooled. For both threads."""

    def __init__(self, source: WriteSource) -> None:
        self._source = source
        self.spilling = threading.Event()
        self._lock = threading.Lock()
        # Guarded by _lock: all below.
        self.writing: QueuedWrite | None = None  # on its way to the sink
        self.spooling: QueuedWrite | None = None  # on its way to the spool
        self._number = 0
        self._write_sets: Iterator[WriteSet] = iter(())
        self._stopping = False
        self._ending = False  # the last write sets are being taken
        self._exhausted = False

    def begin(self, last_number: int, *, spilling: bool) -> None:
        """Continue after the numbers that the spool holds."""
        self._number = last_number
        if spilling:
            self.spilling.set()

    def stop(self) -> None:
        """Make the next write sets taken from the source the last."""
        with self._lock:
            self._stopping = True

    @property
    def stopping(self) -> bool:
        """Return whether `stop` was called."""
        return self._stopping

    @property
    def durable(self) -> bool:
        """Return whether everything, to the last, is in the sink or in the spool."""
        with self._lock:
            in_writing = self.writing is not None and not self.writing.spooled
            return self._exhausted and not in_writing and self.spooling is None

    def take(self, *, fetch: bool) -> QueuedWrite | None:
        """Take the next for the sink; None while spilling, or when there is nothing."""
        with self._lock:
            if self.writing is None and not self.spilling.is_set():
                self.writing = self._next(fetch=fetch)
            return self.writing

    def take_aside(self, *, fetch: bool) -> QueuedWrite | None:
        """Take the next for the spool, what is being written before all else; None unless spilling."""
        with self._lock:
            if not self.spilling.is_set():
                return None
            if self.writing is not None and not self.writing.spooled:
                return self.writing
            if self.spooling is None:
                self.spooling = self._next(fetch=fetch)
            return self.spooling

    def spooled(self, queued: QueuedWrite) -> None:
        """Record that a write set is in the spool."""
        with self._lock:
            if self.spooling is queued:
                self.spooling = None

    def hold(self, queued: QueuedWrite | None) -> None:
        """Set what is being written, taken from the spool; None when it is done."""
        with self._lock:
            self.writing = queued

    def nothing_in_spool(self, is_empty: Callable[[], bool]) -> QueuedWrite | None:
        """Take what was on its way into the empty spool; if there is nothing, stop spilling.

        Whether the spool is empty is asked in here: what was on its way may have arrived meanwhile.
        """
        with self._lock:
            if self.spooling is not None:
                self.writing, self.spooling = self.spooling, None
                return self.writing
            if is_empty():
                self.spilling.clear()
            return None

    def _next(self, *, fetch: bool) -> QueuedWrite | None:
        write_set = next(self._write_sets, None)
        if write_set is None and self._ending:
            self._exhausted = True
        elif write_set is None and fetch:
            self._ending = self._stopping  # read before fetching: what came until then is in it
            self._write_sets = self._source.write_sets(is_last=self._ending)
            write_set = next(self._write_sets, None)
            if self._source.is_behind:
                self.spilling.set()
        if write_set is None:
            return None
        self._number += 1
        return QueuedWrite(self._number, write_set)
