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
class Taken:
    """A record that was taken, or the end of a shard."""

    shard: str
    sequence_number: str  # empty: the end
    arrived_ns: int = 0


class Checkpoints:
    """What was taken from all shards and is not settled. A place is the text of a number that grows."""

    def __init__(self) -> None:
        self._taken: deque[Taken] = deque()
        self._first = 1  # the number of the first of them
        self._last: dict[str, str] = {}  # the position of each shard of which something was settled

    def __len__(self) -> int:
        """Return how many records wait to be settled."""
        return len(self._taken)

    def take(self, taken: Taken) -> str:
        """Note a record, and return its place."""
        self._taken.append(taken)
        return str(self._first + len(self._taken) - 1)

    def at(self, place: str) -> Taken:
        """Return what was taken at a place that is not settled."""
        return self._taken[int(place) - self._first]

    def since(self, place: str) -> int:
        """Return how many were taken from this place on."""
        return self._first + len(self._taken) - int(place)

    def end(self, shard: str, position: str) -> None:
        """Note that a shard was read to its end; `position`: where the reading of it began."""
        self._last.setdefault(shard, position)
        self.take(Taken(shard, ""))

    def settled(self, earliest_open: int | None) -> dict[str, ShardPosition]:
        """Return the new positions of shards, now that all before this place is done with; None: all."""
        found: dict[str, ShardPosition] = {}
        while self._taken and (earliest_open is None or self._first < earliest_open):
            one = self._taken.popleft()
            self._first += 1
            if one.sequence_number:
                self._last[one.shard] = after(one.sequence_number)
            found[one.shard] = ShardPosition(
                self._last[one.shard], finished=not one.sequence_number, read_up_to_ns=one.arrived_ns
            )
        return found
