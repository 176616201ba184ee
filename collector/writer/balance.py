"""Count what the writer holds and what became of it, for each stream, exact at any moment."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from collector.events import (
    CANDLE_INTEGERS,
    INT_COLUMNS,
    STREAM,
    STREAM_COLUMN,
    TRADE_INTEGERS,
    Batch,
    Counts,
    StreamKey,
)
from collector.sinks import AccountingState, Receipt, WriteSet
from collector.writer.queued_write import QueuedWrite, sampled_out, written

Tally = Counter[StreamKey]


class Totals(NamedTuple):
    """Rows of all streams, by where they are."""

    in_flight: int
    spooled: int
    written: int
    merged: int
    dropped: int


class Balance:
    """The writer's side of the identity. A move from one count to another is one step."""

    def __init__(self, session_id: str, key_of: Callable[[int], StreamKey]) -> None:
        self._session_id = session_id
        self._key_of = key_of
        self._lock = threading.Lock()
        # Guarded by _lock: all below.
        self._in_flight: Tally = Counter()  # out of the buffer, neither in the database nor in the spool
        self._spooled: Tally = Counter()
        self._carried_in: Tally = Counter()
        self._written: Tally = Counter()
        self._merged: Tally = Counter()
        self._sampled_out: Tally = Counter()
        self._dropped: Tally = Counter()
        self._rejected: dict[StreamKey, Counter[str]] = {}

    def carried_in(self, heads: Iterable[WriteSet]) -> None:
        """Count what the spool holds of earlier sessions."""
        with self._lock:
            for head in heads:
                self._carried_in += written(head)
                self._spooled += written(head)

    def swap(self, swap: Callable[[], Batch]) -> Batch:
        """Take a batch out of the buffer and count its events as in flight, in one step."""
        with self._lock:
            batch = swap()
            for stream, count in _events_by_stream(batch).items():  # two may be of one key: live, and of REST
                key = self._key_of(stream)
                self._in_flight[key] = self._in_flight.get(key, 0) + count
            return batch

    def took(self, write_set: WriteSet) -> None:
        """Count a write set as in flight that came ready-made, not out of the buffer."""
        with self._lock:
            self._in_flight += written(write_set) + sampled_out(write_set)

    def refused(self, write_set: WriteSet) -> None:
        """Count a ready-made write set as dropped: there was no room for it."""
        with self._lock:
            self._dropped += written(write_set)

    def spooled(self, queued: QueuedWrite) -> None:
        """Move a write set from in flight to the spool."""
        with self._lock:
            rows, sampled = written(queued.write_set), sampled_out(queued.write_set)
            queued.spooled = True
            self._in_flight -= rows + sampled
            self._spooled += rows
            self._sampled_out += sampled

    def committed(self, queued: QueuedWrite, receipt: Receipt) -> None:
        """Move a write set to written, less the rows that were there already."""
        with self._lock:
            rows, merged = written(queued.write_set), Counter(receipt.merged)
            self._release(queued, rows)
            _add(self._written, rows - merged if merged else rows)
            _add(self._merged, merged)

    def rejected(self, queued: QueuedWrite, rows: Mapping[StreamKey, int], reason: str) -> None:
        """Move some rows of a write set to rejected: it does not count them any more."""
        with self._lock:
            self._leave(queued, Counter(rows))
            for key, count in rows.items():
                self._rejected.setdefault(key, Counter())[reason] += count

    def known_before(self, queued: QueuedWrite) -> None:
        """Stop counting a write set that an earlier session had written, though its spool still held it."""
        with self._lock:
            rows = written(queued.write_set)
            self._release(queued, rows)
            self._carried_in -= rows

    def gone(self, heads: Iterable[WriteSet], reason: str) -> int:
        """Count the rows that should be in the spool, and are not, as rejected; return how many they are."""
        there: Tally = Counter()
        for head in heads:
            there += written(head)
        with self._lock:
            lost = self._spooled - there
            self._spooled -= lost
            for key, count in lost.items():
                self._rejected.setdefault(key, Counter())[reason] += count
            return lost.total()

    def give_up(self) -> int:
        """Count what is still in flight as dropped: no room and no time is left. Return how much it was."""
        with self._lock:
            lost = self._in_flight.total()
            self._dropped += self._in_flight
            self._in_flight = Counter()
            return lost

    @property
    def rows_in_spool(self) -> int:
        """Return how many rows wait in the spool."""
        with self._lock:
            return self._spooled.total()

    def totals(self) -> Totals:
        """Return the counts over all streams."""
        with self._lock:
            counts = (self._in_flight, self._spooled, self._written, self._merged, self._dropped)
            return Totals(*(one.total() for one in counts))

    def states(
        self, snapshot: Callable[[], Mapping[StreamKey, tuple[Counts, int]]]
    ) -> tuple[AccountingState, ...]:
        """Return the counts of each stream, the buffer's and these, taken at the same moment."""
        with self._lock:
            buffered = snapshot()
            keys = dict.fromkeys([*buffered, *self._carried_in])
            return tuple(self._state(key, *buffered.get(key, (Counts(), 0))) for key in keys)

    def _state(self, key: StreamKey, counts: Counts, waiting: int) -> AccountingState:
        here = self._rejected.get(key)
        rejected = Counter(counts.rejected) + here if here else counts.rejected
        return AccountingState(
            self._session_id,
            *key,
            received=counts.received,
            carried_in=self._carried_in[key],
            written=self._written[key],
            merged=counts.merged + self._merged[key],
            sampled_out=self._sampled_out[key],
            dropped=counts.dropped + self._dropped[key],
            pending=waiting + self._in_flight[key] + self._spooled[key],
            rejected=dict(rejected),
        )

    def _release(self, queued: QueuedWrite, rows: Tally) -> None:
        self._leave(queued, rows)
        if not queued.spooled:
            sampled = sampled_out(queued.write_set)
            _take(self._in_flight, sampled)
            _add(self._sampled_out, sampled)

    def _leave(self, queued: QueuedWrite, rows: Tally) -> None:
        _take(self._spooled if queued.spooled else self._in_flight, rows)


def _add(tally: Tally, counts: Mapping[StreamKey, int]) -> None:
    for key, count in counts.items():
        tally[key] = tally.get(key, 0) + count


def _take(tally: Tally, counts: Mapping[StreamKey, int]) -> None:
    """Subtract; what is not positive then goes, as `-=` would have it, which looks at all that is there."""
    for key, count in counts.items():
        left = tally.get(key, 0) - count
        if left > 0:
            tally[key] = left
        else:
            tally.pop(key, None)


def _events_by_stream(batch: Batch) -> dict[int, int]:
    streams = np.concatenate(
        [
            np.frombuffer(batch.integers, dtype=np.int64)[STREAM::INT_COLUMNS],
            np.frombuffer(batch.trades.integers, dtype=np.int64)[STREAM_COLUMN::TRADE_INTEGERS],
            np.frombuffer(batch.candles.integers, dtype=np.int64)[STREAM_COLUMN::CANDLE_INTEGERS],
        ]
    )
    return {number: count for number, count in enumerate(np.bincount(streams).tolist()) if count}
