"""Give the write queue its write sets: from the buffer, from an inbox, or from several sources in turn."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from collector.events import Batch
from collector.sinks import WriteSet
from collector.writer.balance import Balance
from collector.writer.joining import hole, joined, may_join
from collector.writer.parts import in_parts
from collector.writer.prepare import Preparation
from collector.writer.write_queue import WriteSource

ALIVE_EVERY_S = 1.0
GATHERED_ROWS = 5_000  # so many wait no longer for others to go out with


class SwapsBatches(Protocol):
    """Collects events until they are taken: the buffer."""

    def wait(self, timeout_s: float) -> None:
        """Wait until a flush is worth it, or the time is over."""

    def swap(self) -> Batch:
        """Take everything that came since the last swap."""

    def hurry(self) -> None:
        """End a wait now."""


class BufferSource:
    """Turns what the buffer holds into write sets of one session."""

    def __init__(
        self,
        buffer: SwapsBatches,
        preparation: Preparation,
        balance: Balance,
        *,
        behind_at_rows: int,
        now_ns: Callable[[], int] = time.time_ns,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._buffer = buffer
        self._preparation = preparation
        self._balance = balance
        self._behind_at_rows = behind_at_rows
        self._now_ns = now_ns
        self._now_s = now_s
        self._next_alive_s = 0.0
        self.is_behind = False
        self.wait = buffer.wait
        self.hurry = buffer.hurry

    def write_sets(self, *, is_last: bool) -> Iterator[WriteSet]:
        """Swap the buffer at once, and prepare its events one write set at a time."""
        extend_alive = is_last or self._now_s() >= self._next_alive_s
        if extend_alive:
            self._next_alive_s = self._now_s() + ALIVE_EVERY_S
        batch = self._balance.swap(self._buffer.swap)
        rows = batch.rows + len(batch.trades) + len(batch.candles)
        self.is_behind = rows >= self._behind_at_rows
        return self._prepared(batch, extend_alive=extend_alive, is_last=is_last)

    def abandon(self) -> None:
        """Count what the buffer still holds as in flight."""
        self._balance.swap(self._buffer.swap)

    def _prepared(self, batch: Batch, *, extend_alive: bool, is_last: bool) -> Iterator[WriteSet]:
        yield from self._preparation.write_sets(batch, extend_alive=extend_alive, is_last=is_last)
        if is_last:
            yield self._preparation.ended(self._now_ns(), "stop")


class Inbox:
    """Holds write sets that another thread offers, up to so many rows. Offering never blocks.

    With `linger_s`, those that come within that time go out as one, unless so many rows have come before.
    """

    def __init__(
        self,
        balance: Balance,
        *,
        most_rows: int,
        behind_at_rows: int,
        rows_a_write: int | None = None,
        linger_s: float = 0.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._balance = balance
        self._rows_a_write = rows_a_write
        self._most_rows = most_rows
        self._behind_at_rows = behind_at_rows
        self._linger_s = linger_s
        self._linger_rows = min(GATHERED_ROWS, behind_at_rows)
        self._now_s = now_s
        self._changed = threading.Condition()
        # Guarded by _changed: all below.
        self._waiting: deque[tuple[WriteSet, bool]] = deque()  # and whether it goes out alone
        self._rows = 0
        self._since_s = 0.0  # the oldest has waited
        self._hurried = False
        self._holes: dict[tuple[str, str], WriteSet] = {}  # by session: what was dropped, and is not told yet

    def offer(self, write_set: WriteSet, *, is_alone: bool = False) -> bool:
        """Take a write set; False, and its rows count as dropped, when it is full.

        One that `is_alone` may come again under its id, so that it must not go out under another one's.
        """
        rows = write_set.row_count
        with self._changed:
            if self._waiting and self._rows + rows > self._most_rows:
                self._balance.refused(write_set)
                self._note_hole(write_set)
                return False
            self._tell_holes()
            self._append(write_set, is_alone=is_alone)
            self._changed.notify()
            return True

    @property
    def is_behind(self) -> bool:
        """Return whether so many rows wait that the spool must take them."""
        return self._rows >= self._behind_at_rows

    def wait(self, timeout_s: float) -> None:
        """Wait until something is to go out, or the time is over."""
        with self._changed:
            until_s = self._now_s() + timeout_s
            while not self._hurried and not self._is_due():
                left_s = until_s - self._now_s()
                if left_s <= 0:
                    break
                due_s = self._since_s + self._linger_s - self._now_s() if self._waiting else left_s
                self._changed.wait(min(left_s, due_s))
            self._hurried = False

    def hurry(self) -> None:
        """End a wait now."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def write_sets(self, *, is_last: bool) -> Iterator[WriteSet]:
        """Take out what is in it when the first is taken, one after the other, the oldest first."""
        with self._changed:
            if is_last:
                self._tell_holes()
            elif not self._is_due():
                return
            left = len(self._waiting)
        while left:
            with self._changed:
                gathered = self._gathered(left)
                self._rows -= sum(one.row_count for one in gathered)
            left -= len(gathered)
            yield from in_parts(joined(gathered), self._rows_a_write)

    def abandon(self) -> None:
        """Do nothing: what it holds counts as in flight already."""

    def _append(self, write_set: WriteSet, *, is_alone: bool) -> None:
        if not self._waiting:
            self._since_s = self._now_s()
        self._balance.took(write_set)
        self._waiting.append((write_set, is_alone))
        self._rows += write_set.row_count

    def _is_due(self) -> bool:
        if not self._waiting:
            return False
        return self._rows >= self._linger_rows or self._now_s() >= self._since_s + self._linger_s

    def _gathered(self, most: int) -> list[WriteSet]:
        """Take out the oldest, and those after it that may go out with it."""
        write_set, is_alone = self._waiting.popleft()
        found, rows = [write_set], write_set.row_count
        while self._linger_s and not is_alone and len(found) < most and rows < GATHERED_ROWS:
            following, is_alone = self._waiting[0]
            if is_alone or not may_join(found[-1], following):
                break
            found.append(self._waiting.popleft()[0])
            rows += following.row_count
        return found

    def _note_hole(self, dropped: WriteSet) -> None:
        key = dropped.session.session_id, dropped.by
        before = self._holes.get(key)
        self._holes[key] = hole([dropped] if before is None else [before, dropped])

    def _tell_holes(self) -> None:
        """Put in what is to be told of what was dropped, before what comes after it."""
        for one in self._holes.values():
            self._append(one, is_alone=True)
        self._holes.clear()


class InTurn:
    """Joins several sources into one. It waits for the first; the others call `hurry` when something came."""

    def __init__(self, first: WriteSource, *others: WriteSource) -> None:
        self._sources = (first, *others)
        self.wait = first.wait
        self.hurry = first.hurry

    @property
    def is_behind(self) -> bool:
        """Return whether any of them is behind."""
        return any(source.is_behind for source in self._sources)

    def write_sets(self, *, is_last: bool) -> Iterator[WriteSet]:
        """Take what has come in, source by source; the first last, for it ends the session."""
        iterators = [source.write_sets(is_last=is_last) for source in reversed(self._sources)]
        for iterator in iterators:
            yield from iterator

    def abandon(self) -> None:
        """Count what was never taken from any of them as in flight."""
        for source in self._sources:
            source.abandon()
