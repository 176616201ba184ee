"""Let aggregates fill holes of single trades: they count where no single trade is there, and only there.

Where the ids of the single trades in an aggregate are known these decide: what is under way while a stream
breaks off has a time that is covered, and is missing all the same. Otherwise its time does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from collector.query.rows.columns import Array, Chunk

FIRST, LAST, SIZE = "first_trade_id", "last_trade_id", "size"

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Spans = Sequence[tuple[int, int]]  # both ends included; in order, and none meets another


@dataclass(frozen=True, slots=True)
class Fillings:
    """The segments that REST brought of the other kind, and where their market is covered without them."""

    segments: tuple[int, ...]
    covered: tuple[tuple[int, int], ...]  # from and until
    counts: str = "trade"  # the kind that counts where both are
    ids: tuple[tuple[int, int], ...] = ()  # of that kind, which are there
    # Of aggregates of which some trades are there: the size of the others, by the ids of first and last.
    cut: Mapping[tuple[int, int], float] = field(default_factory=dict)

    def are_of(self, segments: Integers) -> Flags:
        """Return which rows are such aggregates, by their segments."""
        return np.isin(segments, self.segments)

    def count(self, rows: Chunk, at: str) -> Flags:
        """Return which rows count: all but the aggregates where single trades are there."""
        is_there = inside(self.covered, rows[at])
        if self.ids and FIRST in rows:
            known = rows[FIRST] >= 0  # of single trades it is NULL, a number far below
            is_there = np.where(known, held(self.ids, rows[FIRST], rows[LAST]), is_there)
        found: Flags = ~(self.are_of(rows["segment_id"]) & is_there)
        for place in self._cut_places(rows):
            found[place] &= self.cut[_ids(rows, place)] > 0.0
        return found

    def sized(self, rows: Chunk) -> Chunk:
        """Return the rows with the sizes of aggregates without the trades in them that are there."""
        places = self._cut_places(rows) if SIZE in rows else []
        if not places:
            return rows
        sizes: Array = rows[SIZE].copy()
        for place in places:
            sizes[place] = self.cut[_ids(rows, place)]
        return {**rows, SIZE: sizes}

    def _cut_places(self, rows: Chunk) -> list[int]:
        if not self.cut or FIRST not in rows:
            return []
        firsts = np.array([first for first, _ in self.cut], dtype=np.int64)
        may_be = np.isin(rows[FIRST], firsts) & self.are_of(rows["segment_id"])
        return [place for place in np.flatnonzero(may_be).tolist() if _ids(rows, place) in self.cut]


def _ids(rows: Chunk, place: int) -> tuple[int, int]:
    return int(rows[FIRST][place]), int(rows[LAST][place])


def inside(spans: Spans, at: Integers) -> Flags:
    """Return which numbers lie in one of the spans."""
    return held(spans, at, at)


def held(spans: Spans, first: Integers, last: Integers) -> Flags:
    """Return what lies within one of the spans, from its first to its last number."""
    if not spans:
        return np.zeros(len(first), dtype=np.bool_)
    starts, ends = np.array(spans, dtype=np.int64).T
    place = np.searchsorted(starts, first, side="right") - 1
    found: Flags = (place >= 0) & (last <= ends[np.maximum(place, 0)])
    return found


def met(spans: Spans, first: Integers, last: Integers) -> Flags:
    """Return what has a number in one of the spans."""
    if not spans:
        return np.zeros(len(first), dtype=np.bool_)
    starts, ends = np.array(spans, dtype=np.int64).T
    found: Flags = np.searchsorted(starts, last, side="right") > np.searchsorted(ends, first, side="left")
    return found
