"""Decide which records go into the next request: within Kinesis' limits, in order, failed ones first."""

from collections import deque
from collections.abc import Iterable, Sequence

from collector.sinks.avro import Record

MOST_RECORDS = 500  # in a request
MOST_BYTES = 5_000_000  # of a request, keys included; where the limit is higher by now, nothing is lost


def weight(record: Record) -> int:
    """Return what counts of a record for the limit."""
    return len(record.data) + len(record.partition_key.encode())


class Pending:
    """The records that the stream has not taken yet, in order.

    Within a request the stream keeps no order: of records that are to be read in theirs, it gets one a
    request and key. What failed goes before all that comes after it.
    """

    def __init__(self, records: Iterable[Record], *, one_of_a_key: bool) -> None:
        self._waiting = deque(records)
        self._one_of_a_key = one_of_a_key

    def __len__(self) -> int:
        """Return how many they are."""
        return len(self._waiting)

    def take(self, most: int = MOST_RECORDS) -> list[Record]:
        """Take out the next request's records: one at least, if there is any."""
        chosen: list[Record] = []
        passed_over: list[Record] = []
        keys: set[str] = set()
        size = 0
        while self._waiting and len(chosen) < most:
            record = self._waiting[0]
            if self._one_of_a_key and record.partition_key in keys:
                passed_over.append(self._waiting.popleft())
                continue
            if chosen and size + weight(record) > MOST_BYTES:
                break
            keys.add(record.partition_key)
            size += weight(record)
            chosen.append(self._waiting.popleft())
        self._waiting.extendleft(reversed(passed_over))
        return chosen

    def put_back(self, records: Sequence[Record]) -> None:
        """Put records back, before all others."""
        self._waiting.extendleft(reversed(records))

    def replace(self, gone: Iterable[Record], instead: Iterable[Record]) -> list[Record]:
        """Leave out some records, and put others before all the rest; return those that were left out."""
        these = set(map(id, gone))
        left_out = [one for one in self._waiting if id(one) in these]
        self._waiting = deque([*instead, *(one for one in self._waiting if id(one) not in these)])
        return left_out
