"""Keep what streams send while snapshots of their books are under way, in bounded memory.

A snapshot holds what came before it was asked for, so a book needs its newest deltas only. Where those of
all books together take too much, the oldest go, whichever book's they are: that book needs a snapshot that
stands beyond them.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator

from collector.events import Delta

MOST_BYTES = 64 * 2**20  # of all books of an exchange together
MOST_KEPT = 5000  # of one book: over eight minutes at ten a second
# What a delta and each of its levels take in memory, rounded up.
DELTA_BYTES, LEVEL_BYTES = 400, 144


class DeltaMemory:
    """How much the books that share it keep together, and in which order it came."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[int, tuple[KeptDeltas, int]] = OrderedDict()
        self._number = 0
        self.held_bytes = 0

    def add(self, owner: "KeptDeltas", size_bytes: int) -> int:
        """Count a delta that was kept; return its number, for `remove`."""
        self._number += 1
        self._kept[self._number] = owner, size_bytes
        self.held_bytes += size_bytes
        return self._number

    def remove(self, number: int) -> None:
        """Count a delta no longer."""
        self.held_bytes -= self._kept.pop(number)[1]

    def shrink(self) -> None:
        """Drop the oldest deltas until all of them fit."""
        while self.held_bytes > self._most_bytes:
            owner, _ = self._kept[next(iter(self._kept))]
            owner.drop_oldest()


class KeptDeltas:
    """The newest deltas of one book."""

    __slots__ = ("_deltas", "_memory", "_numbers", "lost_to")

    def __init__(self, memory: DeltaMemory) -> None:
        self._memory = memory
        self._deltas: deque[Delta] = deque()
        self._numbers: deque[int] = deque()
        self.lost_to: int | None = None  # the number of the newest delta that was let go

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._deltas)

    def __iter__(self) -> Iterator[Delta]:
        """Go through them, the oldest first."""
        return iter(self._deltas)

    def append(self, delta: Delta) -> None:
        """Keep a delta; the oldest go where there is no room."""
        size_bytes = DELTA_BYTES + LEVEL_BYTES * (len(delta.bids) + len(delta.asks))
        self._deltas.append(delta)
        self._numbers.append(self._memory.add(self, size_bytes))
        if len(self._deltas) > MOST_KEPT:
            self.drop_oldest()
        self._memory.shrink()

    def drop_oldest(self) -> None:
        """Drop the oldest, and remember up to where something is missing."""
        self.lost_to = self._deltas.popleft().sequence
        self._memory.remove(self._numbers.popleft())

    def clear(self) -> None:
        """Keep none, and miss none."""
        for number in self._numbers:
            self._memory.remove(number)
        self._deltas.clear()
        self._numbers.clear()
        self.lost_to = None
