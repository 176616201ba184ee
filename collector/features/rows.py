"""Turn the numbers of a batch into the columns of the hot table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collector.events.batch import INT_COLUMNS, NO_INT, Batch, StreamKey
from collector.features.flow import OrderFlow
from collector.features.practical import Book, Floats, Integers, practical
from collector.features.quality import quality

Value = float | int | str | None


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What every row of a stream has in common."""

    key: StreamKey
    depth: int
    data_source: str


class BookRows:
    """Computes rows, batch after batch. Pure but for what order flow and segments need remembered."""

    def __init__(self, facts_of: Callable[[int], StreamFacts], levels_per_row: int) -> None:
        self._facts_of = facts_of
        self._levels_per_row = levels_per_row
        self._flow = OrderFlow()
        self._unverified: set[int] = set()

    def columns(self, batch: Batch) -> Mapping[str, Sequence[Value]]:
        """Return the columns, each with a value for each row of the batch."""
        self._unverified |= {one.segment_id for one in batch.opened if one.verification == "none"}
        columns = self._columns(batch) if batch.rows else {}
        for closed in batch.closed:
            self._flow.forget(closed.segment_id)
            self._unverified.discard(closed.segment_id)
        return columns

    def _columns(self, batch: Batch) -> dict[str, Sequence[Value]]:
        integers = np.frombuffer(batch.integers, dtype=np.int64).reshape(-1, INT_COLUMNS)
        received_at_ns, exchange_ms, sequences, streams, segments, known = integers.T
        book = Book.from_flat(np.frombuffer(batch.levels, dtype=np.float64), self._levels_per_row)
        facts = [self._facts_of(number) for number in range(int(streams.max()) + 1)]
        depth = np.array([one.depth for one in facts], dtype=np.int64)[streams]
        exchange_ms_or_nan = np.where(exchange_ms == NO_INT, np.nan, exchange_ms.astype(np.float64))
        ten_known = known.astype(np.bool_)
        verified = np.isin(segments, list(self._unverified), invert=True)
        return {
            "timestamp": iso_texts(received_at_ns),
            "symbol": _names([one.key.symbol for one in facts], streams),
            "exchange": _names([one.key.exchange for one in facts], streams),
            **{name: _nullable(column) for name, column in practical(book, ten_known).items()},
            "sequence": _nullable_integers(sequences),
            "exchange_timestamp": _nullable_integers(exchange_ms),
            "data_source": _names([one.data_source for one in facts], streams),
            "data_quality_score": quality(
                book, ten_known, received_at_ns, exchange_ms_or_nan, verified
            ).tolist(),
            "received_at_ns": received_at_ns.tolist(),
            "segment_id": segments.tolist(),
            "depth": depth.tolist(),
            "ofi": _nullable(self._flow.compute(book, segments)),
        }


def iso_texts(at_ns: Integers) -> list[Value]:
    """Write instants as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    microseconds = (at_ns // 1000).astype("datetime64[us]")
    texts: list[Value] = np.datetime_as_string(microseconds, unit="us", timezone="UTC").tolist()
    return texts


def iso_text(at_ns: int) -> str:
    """Write one instant as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    return str(iso_texts(np.array([at_ns], dtype=np.int64))[0])


def _names(by_stream: list[str], streams: Integers) -> list[Value]:
    names: list[Value] = np.array(by_stream, dtype=object)[streams].tolist()
    return names


def _nullable(numbers: Floats) -> list[Value]:
    return _with_nulls(numbers, np.isnan(numbers))


def _nullable_integers(numbers: Integers) -> list[Value]:
    return _with_nulls(numbers, numbers == NO_INT)


def _with_nulls(numbers: Floats | Integers, missing: npt.NDArray[np.bool_]) -> list[Value]:
    values: list[Value] = numbers.tolist()
    for position in np.flatnonzero(missing).tolist():
        values[position] = None
    return values
