"""Turn what the buffer held into what transactions commit: features, rows, coverage, accounting."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from collector.buffer.buffer import INT_COLUMNS, NO_INT, Batch
from collector.buffer.streams import StreamKey
from collector.features.flow import OrderFlow
from collector.features.practical import Book, Floats, Integers, practical
from collector.features.quality import quality
from collector.ids import new_id
from collector.sinks.contract import Rows, SessionState, Value, WriteSet
from collector.writer.accounting import Accounting
from collector.writer.coverage import Coverage

NO_ROWS: Integers = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What every row of a stream has in common."""

    key: StreamKey
    depth: int
    data_source: str


class Preparation:
    """Makes write sets of one session. Pure but for what it remembers from batch to batch."""

    def __init__(
        self,
        session: SessionState,
        key_of: Callable[[int], StreamKey],
        facts_of: Callable[[StreamKey], StreamFacts],
        *,
        levels_per_row: int,
        most_rows: int,
    ) -> None:
        self._session = session
        self._key_of = key_of
        self._facts_of = facts_of
        self._levels_per_row = levels_per_row
        self._most_rows = most_rows
        self._coverage = Coverage(session.session_id, key_of)
        self._accounting = Accounting(session.session_id, key_of)
        self._flow = OrderFlow()

    def write_sets(self, batch: Batch, *, extend_alive: bool) -> Iterator[WriteSet]:
        """Yield what to commit, in order, at most `most_rows` rows each; nothing when nothing happened."""
        integers = np.frombuffer(batch.integers, dtype=np.int64).reshape(-1, INT_COLUMNS)
        received_at_ns, exchange_ms, sequences, streams, segments = integers.T
        for opened in batch.opened:
            self._coverage.open(opened)
        columns = self._columns(batch, received_at_ns, exchange_ms, sequences, streams, segments)
        self._accounting.take(batch.counts)
        for first in range(0, batch.rows, self._most_rows):
            here = slice(first, first + self._most_rows)
            last = here.stop >= batch.rows
            self._coverage.extend(segments[here], received_at_ns[here], sequences[here])
            if last:
                self._settle(batch, extend_alive=extend_alive)
            rows = Rows("book", {name: column[here] for name, column in columns.items()})
            yield self._write_set((rows,), streams[here], streams[here.stop :])
        if not batch.rows:
            self._settle(batch, extend_alive=extend_alive)
            write_set = self._write_set((), NO_ROWS, NO_ROWS)
            if write_set.segments or batch.counts:
                yield write_set

    def ended(self, ended_ns: int, cause: str) -> WriteSet:
        """Return what says that the session is over."""
        return WriteSet(new_id(), replace(self._session, ended_ns=ended_ns, end_cause=cause))

    def _settle(self, batch: Batch, *, extend_alive: bool) -> None:
        if extend_alive:
            self._coverage.alive(batch.heard_ns)
        for closed in batch.closed:
            self._coverage.close(closed)
            self._flow.forget(closed.segment_id)

    def _write_set(self, rows: tuple[Rows, ...], now: Integers, later: Integers) -> WriteSet:
        accounting = self._accounting.states(now, later)
        return WriteSet(new_id(), self._session, rows, self._coverage.take_changed(), accounting)

    def _columns(
        self,
        batch: Batch,
        received_at_ns: Integers,
        exchange_ms: Integers,
        sequences: Integers,
        streams: Integers,
        segments: Integers,
    ) -> dict[str, Sequence[Value]]:
        if not batch.rows:
            return {}
        book = Book.from_flat(np.frombuffer(batch.levels, dtype=np.float64), self._levels_per_row)
        numbers = range(int(streams.max()) + 1)
        facts = [self._facts_of(self._key_of(number)) for number in numbers]
        depth = np.array([one.depth for one in facts], dtype=np.int64)[streams]
        exchange_ms_or_nan = np.where(exchange_ms == NO_INT, np.nan, exchange_ms.astype(np.float64))
        verified = np.isin(segments, self._unverified(segments), invert=True)
        return {
            "timestamp": iso_texts(received_at_ns),
            "symbol": _names([one.key.symbol for one in facts], streams),
            "exchange": _names([one.key.exchange for one in facts], streams),
            **{name: _nullable(column) for name, column in practical(book, depth).items()},
            "sequence": _nullable_integers(sequences),
            "exchange_timestamp": _nullable_integers(exchange_ms),
            "data_source": _names([one.data_source for one in facts], streams),
            "data_quality_score": quality(book, depth, received_at_ns, exchange_ms_or_nan, verified).tolist(),
            "received_at_ns": received_at_ns.tolist(),
            "segment_id": segments.tolist(),
            "depth": depth.tolist(),
            "ofi": _nullable(self._flow.compute(book, segments)),
        }

    def _unverified(self, segments: Integers) -> list[int]:
        ids: list[int] = np.unique(segments).tolist()
        return [one for one in ids if self._coverage.verification(one) == "none"]


def iso_texts(at_ns: Integers) -> list[Value]:
    """Write instants as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    microseconds = (at_ns // 1000).astype("datetime64[us]")
    texts: list[Value] = np.datetime_as_string(microseconds, unit="us", timezone="UTC").tolist()
    return texts


def _names(by_stream: list[str], streams: Integers) -> list[Value]:
    names: list[Value] = np.array(by_stream, dtype=object)[streams].tolist()
    return names


def _nullable(numbers: Floats) -> list[Value]:
    missing = np.isnan(numbers)
    return _with_nulls(numbers, missing)


def _nullable_integers(numbers: Integers) -> list[Value]:
    return _with_nulls(numbers, numbers == NO_INT)


def _with_nulls(numbers: Floats | Integers, missing: npt.NDArray[np.bool_]) -> list[Value]:
    values: list[Value] = numbers.tolist()
    if missing.any():
        for position in np.flatnonzero(missing).tolist():
            values[position] = None
    return values
