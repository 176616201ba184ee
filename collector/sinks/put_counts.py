"""Count what a sink puts into a stream of records, for its metrics."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from collector.histogram import Histogram

BATCH_RECORDS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 300.0, 400.0, 500.0)
PUT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class PutCounts:
    """What became of all records so far. The sink replaces it as a whole; any thread may read it."""

    records: int = 0  # that the stream has taken
    bytes: int = 0  # of these, their keys included
    partial_failures: int = 0  # calls of which the stream took a part
    throttles: int = 0  # calls, whole or in part, that the stream refused for their rate
    dead_letters: int = 0  # records refused for good, and set aside
    batch_size: Histogram = field(default_factory=lambda: Histogram.of(BATCH_RECORDS))  # records of a call
    put_s: Histogram = field(default_factory=lambda: Histogram.of(PUT_S))  # how long a call took


@runtime_checkable
class CountsPuts(Protocol):
    """A sink that counts so."""

    @property
    def put_counts(self) -> PutCounts:
        """Return the counts of now."""
