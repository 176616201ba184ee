"""Count what a sink has put into a stream. Each put gives a new value, which any thread may read."""

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

BATCH_SIZES = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0)
PUT_TIMES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values were at most each of some bounds, and above the one before; the last: above all."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0  # of the values

    @classmethod
    def of(cls, bounds: tuple[float, ...]) -> Self:
        """Return one without a value."""
        return cls(bounds, (0,) * (len(bounds) + 1))

    def plus(self, value: float) -> Self:
        """Return it with one value more."""
        counts = list(self.counts)
        counts[bisect_left(self.bounds, value)] += 1
        return replace(self, counts=tuple(counts), total=self.total + value)

    @property
    def count(self) -> int:
        """Return how many values there are."""
        return sum(self.counts)


_NO_SIZES, _NO_TIMES = Histogram.of(BATCH_SIZES), Histogram.of(PUT_TIMES_S)


@dataclass(frozen=True, slots=True)
class PutCounts:
    """What became of the requests, and of the records in them."""

    batch_sizes: Histogram = _NO_SIZES  # records in a request
    put_times_s: Histogram = _NO_TIMES  # until the answer of a request
    records: int = 0  # that the stream has taken
    rows: int = 0  # in them
    bytes: int = 0  # of them, with their keys
    partial_failures: int = 0  # requests of which the stream took only a part
    failed_records: int = 0  # in those; each was sent again
    throttles: int = 0  # requests that were too much for the stream, as a whole or in part
    errors: int = 0  # requests that failed as a whole for another reason
    dead_letters: int = 0  # records that the stream refuses for what they are
    dead_rows: int = 0  # in them


@runtime_checkable
class Puts(Protocol):
    """A sink that puts records into a stream."""

    @property
    def put_counts(self) -> PutCounts:
        """Return what became of all so far. For any thread."""
