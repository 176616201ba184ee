"""Keep the writer's side of the identity: what of each stream is committed, and what is still on its way."""

from collections.abc import Callable, Mapping

import numpy as np

from collector.events.batch import Counts, StreamKey
from collector.sinks.contract import AccountingState
from collector.writer.coverage import Integers


class Accounting:
    """The terms of the identity of one session, stream by stream. Used by the writer thread alone."""

    def __init__(self, session_id: str, key_of: Callable[[int], StreamKey]) -> None:
        self._session_id = session_id
        self._key_of = key_of
        self._counts: Mapping[int, Counts] = {}
        self._written: dict[int, int] = {}

    def take(self, counts: Mapping[int, Counts]) -> None:
        """Take over what the buffer counted of the streams with news until its swap."""
        self._counts = counts

    def states(self, now: Integers, later: Integers) -> tuple[AccountingState, ...]:
        """Return the terms as they stand once the rows `now` are committed, those of `later` still pending.

        Both name a stream for each row.
        """
        for stream, count in _tally(now).items():
            self._written[stream] = self._written.get(stream, 0) + count
        pending = _tally(later)
        return tuple(
            AccountingState(
                self._session_id,
                *self._key_of(stream),
                received=counts.received,
                written=self._written.get(stream, 0),
                merged=counts.merged,
                dropped=counts.dropped,
                pending=pending.get(stream, 0),
                rejected=counts.rejected,
            )
            for stream, counts in self._counts.items()
        )


def _tally(streams: Integers) -> dict[int, int]:
    numbers, counts = np.unique(streams, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))
