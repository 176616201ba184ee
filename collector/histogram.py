"""Count values by size, in buckets. A histogram is replaced, never changed: any thread may read it."""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values by bucket, each up to its edge and the last one above all; and their sum."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0

    @classmethod
    def of(cls, edges: tuple[float, ...]) -> "Histogram":
        """Return an empty one."""
        return cls(edges, (0,) * (len(edges) + 1))

    def plus_all(self, values: npt.NDArray[np.float64]) -> "Histogram":
        """Return it with more values."""
        places = np.searchsorted(self.edges, values, side="left")
        more = np.bincount(places, minlength=len(self.counts)).tolist()
        counts = tuple(had + new for had, new in zip(self.counts, more, strict=True))
        return Histogram(self.edges, counts, self.total + float(values.sum()))

    def plus(self, value: float) -> "Histogram":
        """Return it with one value more."""
        place = bisect_left(self.edges, value)
        counts = (*self.counts[:place], self.counts[place] + 1, *self.counts[place + 1 :])
        return Histogram(self.edges, counts, self.total + value)

    @property
    def count(self) -> int:
        """Return how many values there are."""
        return sum(self.counts)

    def minus(self, before: "Histogram") -> "Histogram":
        """Return what was added since; all of it if the earlier one is none of the same kind."""
        added = tuple(now - had for now, had in zip(self.counts, before.counts, strict=False))
        if before.edges != self.edges or min(added) < 0:
            return self
        return Histogram(self.edges, added, self.total - before.total)
