"""Count what a sink has put into a stream. Values: each put gives new ones; any thread may read them."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from collector.histogram import Histogram

NO_BATCHES = Histogram.of((1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0))
NO_PUTS_S = Histogram.of((0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0))


@dataclass(frozen=True, slots=True)
class PutCounts:
    """What became of the requests, and of the records in them."""

    batch_sizes: Histogram = NO_BATCHES  # records in a request
    put_times_s: Histogram = NO_PUTS_S  # until the answer of a request
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
