"""Buffer rows between the websocket thread and the writer thread: the one object that both touch.

One lock, held for an append or a swap, never while anything is computed, read or written. Rows are
numbers in flat arrays: nothing for the garbage collector to walk, and numpy reads them as they lie.
"""

import threading
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from struct import Struct

from collector.events import (
    CANDLE_INTEGERS,
    INT_COLUMNS,
    NO_INT,
    STREAM_COLUMN,
    TRADE_INTEGERS,
    Batch,
    CandleColumns,
    ContractSize,
    Counts,
    Liveness,
    SegmentClosed,
    SegmentOpened,
    StreamKey,
    Tally,
    TradeColumns,
    Witnessed,
)

_pack_integers = Struct(f"{INT_COLUMNS}q").pack
NUMBER_BYTES = 8


class Buffer:
    """A buffer bounded in rows and bytes. When it is full, rows are dropped and counted; nobody waits."""

    def __init__(
        self, *, levels_per_row: int, max_rows: int, flush_rows: int, max_bytes: int | None = None
    ) -> None:
        self._numbers_per_row = 4 * levels_per_row
        self._pack_levels = Struct(f"{self._numbers_per_row}d").pack
        row_bytes = NUMBER_BYTES * (self._numbers_per_row + INT_COLUMNS)
        self._max_rows = max_rows if max_bytes is None else max(1, min(max_rows, max_bytes // row_bytes))
        self._flush_rows = min(flush_rows, self._max_rows)
        self._lock = threading.Lock()
        self._acquire, self._release = self._lock.acquire, self._lock.release
        # Guarded by _lock: all below.
        self._worth_a_flush = threading.Condition(self._lock)
        self._levels: array[float] = array("d")
        self._integers: array[int] = array("q")
        self._trades = TradeColumns()
        self._candles = CandleColumns()
        self._rows = 0  # of all tables
        self._witnessed: dict[int, Witnessed] = {}
        self._opened: list[SegmentOpened] = []
        self._closed: list[SegmentClosed] = []
        self._open: dict[int, Liveness] = {}
        self._streams: list[StreamKey] = []
        self._contracts: list[ContractSize | None] = []  # of each stream
        self._origins: list[str | None] = []  # of each stream: how its rows come
        self._counts: list[Counts] = []
        self._tallies: list[Tally] = []
        self._changed: set[int] = set()
        self._full = False
        self._hurried = False
        self._high_rows = 0
        self._swapped_rows = 0  # so far

    def register(
        self, key: StreamKey, contract: ContractSize | None = None, origin: str | None = None
    ) -> int:
        """Return the number of a stream, by which its rows and counts are kept.

        `contract` is what its sizes count, where that is not the base currency: they are kept as they came.
        `origin` is how its rows come, None: live. What REST brings of a stream has a number of its own.
        """
        with self._lock:
            for number, known in enumerate(zip(self._streams, self._origins, strict=True)):
                if known == (key, origin):
                    return number
            self._streams.append(key)
            self._contracts.append(contract)
            self._origins.append(origin)
            self._counts.append(Counts())
            self._tallies.append(Tally())
            return len(self._streams) - 1

    def key(self, stream: int) -> StreamKey:
        """Return the stream of a number."""
        return self._streams[stream]

    def contract(self, stream: int) -> ContractSize | None:
        """Return what the sizes of a stream count; None is the base currency."""
        return self._contracts[stream]

    def origin(self, stream: int) -> str | None:
        """Return how the rows of a stream come: REST where they are fetched afterwards, None: live."""
        return self._origins[stream]

    def tally(self, stream: int) -> Tally:
        """Return the counter of a stream's events, shared by all connections that feed the stream."""
        return self._tallies[stream]

    def append(
        self,
        stream: int,
        received: int,
        received_at_ns: int,
        exchange_ms: int | None,
        sequence: int | None,
        segment_id: int,
        known_levels: int,
        levels: Sequence[float],
    ) -> bool:
        """Append a row; False when there is no room and it was counted as dropped.

        `received` is the stream's own count of events so far, this one included: taken over in the same
        breath as the row, so that at any swap the two sides of the identity are of the same moment.
        """
        if isinstance(levels, array) and len(levels) == self._numbers_per_row:  # the kernel's
            numbers = levels.tobytes()
        else:  # in a third of the time that extend() takes; a row of another width is refused
            numbers = self._pack_levels(*levels)
        told_ms = NO_INT if exchange_ms is None else exchange_ms
        number = NO_INT if sequence is None else sequence
        integers = _pack_integers(received_at_ns, told_ms, number, stream, segment_id, known_levels)
        counts = self._counts[stream]
        self._acquire()  # `with` takes twice the time
        try:
            counts.received = received
            self._changed.add(stream)
            if self._full:
                counts.dropped += 1
                return False
            self._levels.frombytes(numbers)
            self._integers.frombytes(integers)
            self._rows = rows = self._rows + 1
            if rows == self._flush_rows or rows >= self._max_rows:
                self._has_enough()
            return True
        finally:
            self._release()

    def append_trade(
        self,
        received: int,
        numbers: Sequence[float],
        integers: Sequence[int],
        trade_id: str,
        marked: str | None,
        singles: tuple[int, int] | None = None,
    ) -> bool:
        """Append a trade, its columns as TradeColumns has them; otherwise as `append`."""
        with self._lock:
            counts = self._received(integers[STREAM_COLUMN], received)
            if self._full:
                counts.dropped += 1
                return False
            self._trades.append(numbers, integers, trade_id, marked, singles)
            self._took_a_row()
            return True

    def append_candle(self, received: int, numbers: Sequence[float], integers: Sequence[int]) -> bool:
        """Append the state of a bar, its columns as CandleColumns has them; otherwise as `append`."""
        with self._lock:
            counts = self._received(integers[STREAM_COLUMN], received)
            if self._full:
                counts.dropped += 1
                return False
            self._candles.append(numbers, integers)
            self._took_a_row()
            return True

    def _took_a_row(self) -> None:
        """Count a row, the lock being held, and wake the writer when there are enough."""
        self._rows += 1
        if self._rows == self._flush_rows or self._rows >= self._max_rows:
            self._has_enough()

    def _has_enough(self) -> None:
        """Wake the writer, the lock being held, and note that there is no more room, if so."""
        self._full = self._rows >= self._max_rows
        self._worth_a_flush.notify_all()

    def count_witnessed(self, segment_id: int, compared: int, disagreed: int) -> None:
        """Count comparisons of an open segment with something independent."""
        with self._lock:
            witnessed = self._witnessed.setdefault(segment_id, Witnessed())
            witnessed.compared += compared
            witnessed.disagreed += disagreed

    def count_rejected(self, stream: int, received: int, reason: str) -> None:
        """Count an event as rejected."""
        with self._lock:
            rejected = self._received(stream, received).rejected
            rejected[reason] = rejected.get(reason, 0) + 1

    def count_merged(self, stream: int, received: int) -> None:
        """Count an event as merged: a stored row says the same."""
        with self._lock:
            self._received(stream, received).merged += 1

    def count_dropped(self, stream: int, received: int) -> None:
        """Count an event as dropped for want of room."""
        with self._lock:
            self._received(stream, received).dropped += 1

    def _received(self, stream: int, received: int) -> Counts:
        """Update a stream's count of events, the lock being held, and return its counts to add to."""
        counts = self._counts[stream]
        counts.received = received
        self._changed.add(stream)
        return counts

    def open_segment(self, opened: SegmentOpened) -> None:
        """Record that a segment begins; its rows come after."""
        origin = self._origins[opened.stream]
        with self._lock:
            self._opened.append(opened if origin is None else replace(opened, origin=origin))
            self._open[opened.segment_id] = opened.liveness

    def move_segment(self, segment_id: int, liveness: Liveness) -> None:
        """Record that a segment goes on over another connection."""
        with self._lock:
            self._open[segment_id] = liveness

    def close_segment(self, closed: SegmentClosed) -> None:
        """Record that a segment ended; its rows came before."""
        with self._lock:
            self._closed.append(closed)
            del self._open[closed.segment_id]

    @property
    def has_room(self) -> bool:
        """Return whether there is room for a row."""
        return not self._full

    @property
    def high_rows(self) -> int:
        """Return the highest fill so far."""
        return max(self._high_rows, self._rows)

    @property
    def rows(self) -> int:
        """Return how many rows are in it now."""
        return self._rows

    @property
    def came(self) -> int:
        """Return how many rows came so far. Beside a swap, for a moment, some are counted twice."""
        return self._swapped_rows + self._rows

    @property
    def capacity_rows(self) -> int:
        """Return how many rows there is room for in all, by their number and by their bytes."""
        return self._max_rows

    def hurry(self) -> None:
        """Wake the writer now, however few rows there are."""
        with self._lock:
            self._hurried = True
            self._worth_a_flush.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Wait until there are enough rows for a flush, or the time is over."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            while not self._hurried and self._rows < self._flush_rows:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self._worth_a_flush.wait(left_s):
                    break
            self._hurried = False

    def swap(self) -> Batch:
        """Return all that came since the last swap, and begin with empty arrays."""
        with self._lock:
            batch = Batch(
                levels=self._levels,
                integers=self._integers,
                opened=tuple(self._opened),
                closed=tuple(self._closed),
                heard_ns={segment: liveness.heard_ns for segment, liveness in self._open.items()},
                counts={stream: self._counts[stream].copy() for stream in self._changed},
                trades=self._trades,
                candles=self._candles,
                witnessed=self._witnessed,
            )
            self._high_rows = max(self._high_rows, self._rows)
            self._swapped_rows += self._rows
            self._levels, self._integers = array("d"), array("q")
            self._trades, self._candles = TradeColumns(), CandleColumns()
            self._witnessed = {}
            self._rows = 0
            self._opened, self._closed = [], []
            self._changed = set()
            self._full = False
            return batch

    def snapshot(self) -> tuple[dict[StreamKey, tuple[Counts, int]], int]:
        """Return every stream's counts and rows now in the buffer, and the highest fill so far."""
        with self._lock:
            streams = (  # flat copies: counting them takes longer, and nobody waits for that
                self._integers[STREAM_COLUMN::INT_COLUMNS],
                self._trades.integers[STREAM_COLUMN::TRADE_INTEGERS],
                self._candles.integers[STREAM_COLUMN::CANDLE_INTEGERS],
            )
            counts = [(key, self._counts[number].copy()) for number, key in enumerate(self._streams)]
            high_rows = max(self._high_rows, self._rows)
        waiting = Counter(chain.from_iterable(streams))
        found: dict[StreamKey, tuple[Counts, int]] = {}
        for number, (key, count) in enumerate(counts):
            known, rows = found.get(key, (Counts(), 0))
            found[key] = known + count, rows + waiting[number]
        return found, high_rows
