"""Tell how far each shard may be called read: not beyond a record whose part is not complete yet.

In single form a part is many records, and a reshard may put the first of them into one shard and the last
into its child. So all shards have one order, in which their records were taken: everything before the first
record of the oldest part that is open is done with.
"""

from collections import deque
from dataclasses import dataclass

from collector.consume.shards import after
from collector.sinks import ShardPosition


@dataclass(frozen=True, slots=True)
class _Taken:
    number: int
    shard: str
    sequence_number: str  # empty: the end of the shard


class Checkpoints:
    """What was taken from all shards and is not settled. A place is the text of a number that grows."""

    def __init__(self) -> None:
        self._taken: deque[_Taken] = deque()
        self._last: dict[str, str] = {}  # the position of each shard of which something was settled
        self._number = 0

    def __len__(self) -> int:
        """Return how many records wait to be settled."""
        return len(self._taken)

    def take(self, shard: str, sequence_number: str) -> str:
        """Note a record, and return its place."""
        self._number += 1
        self._taken.append(_Taken(self._number, shard, sequence_number))
        return str(self._number)

    def end(self, shard: str, position: str) -> None:
        """Note that a shard was read to its end; `position`: where it stood before anything of it was read."""
        self._last.setdefault(shard, position)
        self.take(shard, "")

    def settled(self, earliest_open: str | None) -> dict[str, ShardPosition]:
        """Return the new positions of shards, now that all before this place is done with; None: all."""
        stop = self._number + 1 if earliest_open is None else int(earliest_open)
        found: dict[str, ShardPosition] = {}
        while self._taken and self._taken[0].number < stop:
            one = self._taken.popleft()
            if one.sequence_number:
                self._last[one.shard] = after(one.sequence_number)
            found[one.shard] = ShardPosition(self._last[one.shard], finished=not one.sequence_number)
        return found
