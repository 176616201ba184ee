"""Let aggregates fill holes of single trades: they count where no single trade is covered, and only there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fillings:
    """The segments that REST brought of the other kind, and where their market is covered without them."""

    segments: tuple[int, ...]
    covered: tuple[tuple[int, int], ...]  # from and until, both included; in order, and none meets another
    counts: str = "trade"  # the kind that counts where both are

    def are_of(self, segments: Integers) -> Flags:
        """Return which rows are such aggregates, by their segments."""
        return np.isin(segments, self.segments)

    def count(self, segments: Integers, at_ns: Integers) -> Flags:
        """Return which rows count: all but the aggregates where single trades are covered."""
        found: Flags = ~(self.are_of(segments) & inside(self.covered, at_ns))
        return found


def inside(spans: Sequence[tuple[int, int]], at_ns: Integers) -> Flags:
    """Return which instants lie in one of the spans, which are in order and do not meet."""
    if not spans:
        return np.zeros(len(at_ns), dtype=np.bool_)
    starts, ends = np.array(spans, dtype=np.int64).T
    place = np.searchsorted(starts, at_ns, side="right") - 1
    found: Flags = (place >= 0) & (at_ns <= ends[np.maximum(place, 0)])
    return found
