"""Say what each transaction adds to the identity's terms."""

from collections.abc import Callable, Mapping

import numpy as np

from collector.events.batch import Counts, StreamKey
from collector.sinks.contract import AccountingState
from collector.writer.coverage import Integers


class Accounting:
    """Makes increments of what the buffer counted; remembers which counts are told already."""

    def __init__(self, session_id: str, key_of: Callable[[int], StreamKey]) -> None:
        self._session_id = session_id
        self._key_of = key_of
        self._told: dict[int, Counts] = {}

    def rows(self, streams: Integers) -> tuple[AccountingState, ...]:
        """Return what some of a batch's rows add; `streams` names one for each row."""
        return tuple(
            AccountingState(self._session_id, *self._key_of(stream), received=count, written=count)
            for stream, count in tally(streams).items()
        )

    def settle(
        self, counts: Mapping[int, Counts], earlier: Integers, last: Integers
    ) -> tuple[AccountingState, ...]:
        """Return what a batch's last rows add, and all its events that gave no row.

        What came in stands as it was counted where it came in, less what the `earlier` rows have told of it.
        """
        rows_told, rows = tally(earlier), tally(last)
        return tuple(
            self._increment(stream, count, rows_told.get(stream, 0), rows.get(stream, 0))
            for stream, count in counts.items()
        )

    def _increment(self, stream: int, now: Counts, rows_told: int, rows: int) -> AccountingState:
        told = self._told.get(stream) or Counts()
        self._told[stream] = now
        reasons = {reason: count - told.rejected.get(reason, 0) for reason, count in now.rejected.items()}
        return AccountingState(
            self._session_id,
            *self._key_of(stream),
            received=now.received - told.received - rows_told,
            written=rows,
            merged=now.merged - told.merged,
            dropped=now.dropped - told.dropped,
            rejected={reason: count for reason, count in reasons.items() if count},
        )


def tally(streams: Integers) -> dict[int, int]:
    """Count the rows of each stream."""
    numbers, counts = np.unique(streams, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))
