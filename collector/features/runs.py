"""Sort a batch by segment, and keep a few numbers of each segment between batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.features.practical import Floats, Integers


@dataclass(frozen=True, slots=True)
class Runs:
    """The rows of a batch sorted by segment, in the order of receipt within each."""

    order: Integers  # row numbers
    starts: Integers  # places in `order` where another segment begins
    ends: Integers  # places in `order` of each segment's last row
    segments: list[int]  # the segment of each start

    @classmethod
    def of(cls, segments: Integers) -> "Runs":
        """Sort rows of these segments; there is at least one."""
        order = np.argsort(segments, kind="stable")
        sorted_segments = segments[order]
        begins = np.ones(len(order), dtype=np.bool_)
        np.not_equal(sorted_segments[1:], sorted_segments[:-1], out=begins[1:])
        (starts,) = begins.nonzero()
        ends = np.empty_like(starts)
        ends[:-1], ends[-1] = starts[1:] - 1, len(order) - 1
        return cls(order, starts, ends, sorted_segments[starts].tolist())


class Memory:
    """A few numbers of each open segment, in one array that a batch reads and writes at once."""

    def __init__(self, shape: tuple[int, ...], fresh: float) -> None:
        self._fresh = fresh
        self._places: dict[int, int] = {}
        self._free: list[int] = []
        self._numbers: Floats = np.empty((0, *shape))

    def __contains__(self, segment: int) -> bool:
        """Return whether numbers of a segment are kept."""
        return segment in self._places

    def recall(self, segments: Sequence[int]) -> Floats:
        """Return the numbers of each segment; one not seen before has fresh numbers."""
        places = self._find(segments)  # makes room, so it comes first
        return self._numbers[places]

    def remember(self, segments: Sequence[int], numbers: Floats) -> None:
        """Keep these numbers, a row for each segment."""
        places = self._find(segments)
        self._numbers[places] = numbers

    def forget(self, segment: int) -> None:
        """Forget a segment that has ended."""
        place = self._places.pop(segment, None)
        if place is not None:
            self._free.append(place)

    def _find(self, segments: Sequence[int]) -> list[int]:
        places = self._places
        for segment in segments:
            if segment not in places:
                place = places[segment] = self._free.pop() if self._free else self._grown()
                self._numbers[place] = self._fresh
        return [places[segment] for segment in segments]

    def _grown(self) -> int:
        """Make room for more segments, and return one of the new places."""
        old = len(self._numbers)
        self._numbers = np.concatenate((self._numbers, np.empty((max(old, 8), *self._numbers.shape[1:]))))
        self._free.extend(range(len(self._numbers) - 1, old, -1))
        return old
