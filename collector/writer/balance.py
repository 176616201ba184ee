"""Count what the writer holds and what became of it, stream by stream, exact at any moment."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from collector.events.batch import INT_COLUMNS, STREAM, Batch, Counts, StreamKey
from collector.events.columns import CANDLE_INTEGERS, STREAM_COLUMN, TRADE_INTEGERS
from collector.sinks.contract import AccountingState, Receipt, WriteSet
from collector.writer.queued_write import QueuedWrite, sampled_out, written

Tally = Counter[StreamKey]


class Balance:
    """The writer's side of the identity. What changes two places changes them in one step."""

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
        """Note what the spool holds of earlier sessions."""
        with self._lock:
            for head in heads:
                self._carried_in += written(head)
                self._spooled += written(head)

    def swap(self, swap: Callable[[], Batch]) -> Batch:
        """Take a batch out of the buffer, its rows being in flight from the same moment."""
        with self._lock:
            batch = swap()
            for stream, count in _events_by_stream(batch).items():
                self._in_flight[self._key_of(stream)] += count
            return batch

    def spooled(self, queued: QueuedWrite) -> None:
        """Note that a queued is durable in the spool."""
        with self._lock:
            rows, sampled = written(queued.write_set), sampled_out(queued.write_set)
            queued.spooled = True
            self._in_flight -= rows + sampled
            self._spooled += rows
            self._sampled_out += sampled

    def committed(self, queued: QueuedWrite, receipt: Receipt) -> None:
        """Note that a queued is in the database."""
        with self._lock:
            rows, merged = written(queued.write_set), Counter(receipt.merged)
            self._release(queued, rows)
            self._written += rows - merged
            self._merged += merged

    def rejected(self, queued: QueuedWrite, rows: Mapping[StreamKey, int], reason: str) -> None:
        """Note that some rows of a queued will never be written: it does not count them any more."""
        with self._lock:
            self._leave(queued, Counter(rows))
            for key, count in rows.items():
                self._rejected.setdefault(key, Counter())[reason] += count

    def known_before(self, queued: QueuedWrite) -> None:
        """Note that the earlier session had written a queued itself, and not come to forget it."""
        with self._lock:
            rows = written(queued.write_set)
            self._release(queued, rows)
            self._carried_in -= rows

    def give_up(self) -> int:
        """Count what is still in flight as dropped: there was no room for it anywhere, and no more time."""
        with self._lock:
            lost = self._in_flight.total()
            self._dropped += self._in_flight
            self._in_flight = Counter()
            return lost

    @property
    def rows_in_spool(self) -> int:
        """Count the rows that wait in the spool."""
        return self._spooled.total()

    def states(
        self, snapshot: Callable[[], Mapping[StreamKey, tuple[Counts, int]]]
    ) -> tuple[AccountingState, ...]:
        """Put together the buffer's side of the identity and this one, both of one moment."""
        with self._lock:
            buffered = snapshot()
            keys = dict.fromkeys([*buffered, *self._carried_in])
            return tuple(self._state(key, *buffered.get(key, (Counts(), 0))) for key in keys)

    def _state(self, key: StreamKey, counts: Counts, waiting: int) -> AccountingState:
        rejected = Counter(counts.rejected) + self._rejected.get(key, Counter())
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
            self._in_flight -= sampled
            self._sampled_out += sampled

    def _leave(self, queued: QueuedWrite, rows: Tally) -> None:
        if queued.spooled:
            self._spooled -= rows
        else:
            self._in_flight -= rows


def _events_by_stream(batch: Batch) -> dict[int, int]:
    streams = np.concatenate(
        [
            np.frombuffer(batch.integers, dtype=np.int64)[STREAM::INT_COLUMNS],
            np.frombuffer(batch.trades.integers, dtype=np.int64)[STREAM_COLUMN::TRADE_INTEGERS],
            np.frombuffer(batch.candles.integers, dtype=np.int64)[STREAM_COLUMN::CANDLE_INTEGERS],
        ]
    )
    return {number: count for number, count in enumerate(np.bincount(streams).tolist()) if count}
