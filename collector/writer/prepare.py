"""Turn what the buffer held into what transactions commit: rows, coverage, accounting."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from collector.events.batch import INT_COLUMNS, Batch, StreamKey
from collector.ids import new_id
from collector.sinks.contract import AccountingState, Rows, SessionState, Value, WriteSet
from collector.writer.accounting import Accounting
from collector.writer.coverage import Coverage, Integers

NO_ROWS: Integers = np.zeros(0, dtype=np.int64)


class Preparation:
    """Makes write sets of one session. Pure but for what it remembers from batch to batch."""

    def __init__(
        self,
        session: SessionState,
        key_of: Callable[[int], StreamKey],
        columns_of: Callable[[Batch], Mapping[str, Sequence[Value]]],
        *,
        most_rows: int,
    ) -> None:
        self._session = session
        self._columns_of = columns_of
        self._most_rows = most_rows
        self._coverage = Coverage(session.session_id, key_of)
        self._accounting = Accounting(session.session_id, key_of)

    def write_sets(self, batch: Batch, *, extend_alive: bool) -> Iterator[WriteSet]:
        """Yield what to commit, in order, at most `most_rows` rows each; nothing when nothing happened."""
        integers = np.frombuffer(batch.integers, dtype=np.int64).reshape(-1, INT_COLUMNS)
        received_at_ns, _, sequences, streams, segments, _ = integers.T
        columns = self._columns_of(batch)
        for opened in batch.opened:
            self._coverage.open(opened)
        for first in range(0, batch.rows, self._most_rows):
            here = slice(first, first + self._most_rows)
            self._coverage.extend(segments[here], received_at_ns[here], sequences[here])
            rows = Rows("book", {name: column[here] for name, column in columns.items()})
            if here.stop < batch.rows:
                yield self._write_set((rows,), self._accounting.rows(streams[here]))
            else:
                self._settle(batch, extend_alive=extend_alive)
                increments = self._accounting.settle(batch.counts, streams[:first], streams[here])
                yield self._write_set((rows,), increments)
        if not batch.rows:
            self._settle(batch, extend_alive=extend_alive)
            write_set = self._write_set((), self._accounting.settle(batch.counts, NO_ROWS, NO_ROWS))
            if write_set.segments or write_set.accounting:
                yield write_set

    def ended(self, ended_ns: int, cause: str) -> WriteSet:
        """Return what says that the session is over."""
        return WriteSet(new_id(), replace(self._session, ended_ns=ended_ns, end_cause=cause))

    def _settle(self, batch: Batch, *, extend_alive: bool) -> None:
        """Note what holds once the last row of the batch is in."""
        if extend_alive:
            self._coverage.alive(batch.heard_ns)
        for closed in batch.closed:
            self._coverage.close(closed)

    def _write_set(self, rows: tuple[Rows, ...], increments: tuple[AccountingState, ...]) -> WriteSet:
        return WriteSet(new_id(), self._session, rows, self._coverage.take_changed(), increments)
