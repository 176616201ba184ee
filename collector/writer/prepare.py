"""Turn what the buffer held into what transactions commit: rows, coverage, accounting."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from collector.events.batch import INT_COLUMNS, Batch, StreamKey
from collector.ids import new_id
from collector.sinks.contract import AccountingState, Rows, SessionState, Value, WriteSet
from collector.writer.accounting import Accounting
from collector.writer.coverage import Coverage, Integers
from collector.writer.portions import Portion, loads

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
        market_rows: Callable[[Batch], Iterable[Portion]] = lambda _: (),
        beside: Callable[[], tuple[Rows, ...]] = tuple,
    ) -> None:
        self._session = session
        self._columns_of = columns_of
        self._market_rows = market_rows
        self._beside = beside  # rows that are no stream's: what happened
        self._most_rows = most_rows
        self._coverage = Coverage(session.session_id, key_of)
        self._accounting = Accounting(session.session_id, key_of)

    def write_sets(self, batch: Batch, *, extend_alive: bool) -> Iterator[WriteSet]:
        """Yield what to commit, in order, at most `most_rows` rows each; nothing when nothing happened."""
        for opened in batch.opened:
            self._coverage.open(opened)
        all_loads = list(loads(self._portions(batch), self._most_rows)) or [[]]
        earlier: list[Integers] = [NO_ROWS]
        for number, load in enumerate(all_loads):
            for one in load:
                self._coverage.extend(one.segments, one.received_at_ns, one.sequences)
            rows = tuple(Rows(one.table, one.columns, one.stream) for one in load)
            streams = np.concatenate([NO_ROWS, *(one.streams for one in load)])
            if number + 1 < len(all_loads):
                yield self._write_set(rows, self._accounting.rows(streams))
                earlier.append(streams)
                continue
            self._settle(batch, extend_alive=extend_alive)
            increments = self._accounting.settle(batch.counts, np.concatenate(earlier), streams)
            write_set = self._write_set((*rows, *self._beside()), increments)
            if write_set.rows or write_set.segments or write_set.accounting:
                yield write_set

    def _portions(self, batch: Batch) -> Iterator[Portion]:
        """Yield the rows of the batch, table by table."""
        columns = self._columns_of(batch)
        if batch.rows:
            integers = np.frombuffer(batch.integers, dtype=np.int64).reshape(-1, INT_COLUMNS)
            received_at_ns, _, sequences, streams, segments, _ = integers.T
            yield Portion("book", columns, streams, segments, received_at_ns, sequences)
        yield from self._market_rows(batch)

    def ended(self, ended_ns: int, cause: str) -> WriteSet:
        """Return what says that the session is over."""
        return WriteSet(new_id(), replace(self._session, ended_ns=ended_ns, end_cause=cause), self._beside())

    def _settle(self, batch: Batch, *, extend_alive: bool) -> None:
        """Note what holds once the last row of the batch is in."""
        if extend_alive:
            self._coverage.alive(batch.heard_ns)
        self._coverage.witnessed(batch.witnessed)
        for closed in batch.closed:
            self._coverage.close(closed)

    def _write_set(self, rows: tuple[Rows, ...], increments: tuple[AccountingState, ...]) -> WriteSet:
        return WriteSet(new_id(), self._session, rows, self._coverage.take_changed(), increments)
