"""Mask, split or refuse instants and rows that are not covered."""

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from collector.errors import QueryError
from collector.query.frames import Rows
from collector.query.instants import Integers, shown
from collector.query.rows import NO_INT

OnGap = Literal["mask", "split", "raise", "ignore"]
ON_GAP = ("mask", "split", "raise", "ignore")
Flags = npt.NDArray[np.bool_]


def checked_on_gap(on_gap: str) -> None:
    """Raise for an unknown value of on_gap."""
    if on_gap not in ON_GAP:
        raise QueryError(f"on_gap is {on_gap!r}; expected mask, split, raise or ignore")


def shaped(
    rows: Rows, good: Flags, seen: Flags, chain: Integers, on_gap: OnGap, before: int | None = None
) -> list[Rows]:
    """Return one piece, or with "split" one for each unbroken stretch.

    `good` says which rows or instants can be relied on, `seen` where there is a state at all. A stretch
    breaks at what is not good and at a change of `chain`, of segments without a hole between them: what
    happened in between is not known. `before` is the chain of the rows read before these, if any were.
    """
    if on_gap == "ignore":
        return [rows.cut(seen) if not seen.all() else rows]
    if on_gap == "split":
        changes = np.r_[True, chain[1:] != chain[:-1]] if len(chain) else np.zeros(0, dtype=np.bool_)
        starts = changes | ~good | np.r_[True, ~good[:-1]][: len(good)]
        stretch = np.cumsum(starts)
        places = np.flatnonzero(good)
        if not len(places):
            return []
        parts = np.split(places, np.flatnonzero(np.diff(stretch[places])) + 1)
        return [rows.cut(slice(int(part[0]), int(part[-1]) + 1)) for part in parts]
    if on_gap == "raise":
        _refuse(rows, good, chain, before)
    if good.all():
        return [rows]
    return [replace(rows, blank=~good)]


def _refuse(rows: Rows, good: Flags, chain: Integers, before: int | None) -> None:
    hint = "see on_gap, and gaps() for all holes"
    if not good.all():
        where = shown(int(rows.at_ns[int(np.flatnonzero(~good)[0])]))
        raise QueryError(f"{where} is not covered, or of too low a quality; {hint}")
    if before is not None:
        chain = np.r_[before, chain]
    breaks = np.flatnonzero(chain[1:] != chain[:-1])
    if len(breaks):
        where = shown(int(rows.at_ns[int(breaks[0]) + (before is None)]))
        raise QueryError(f"there is a hole before {where}; {hint}")


def known_segment(segment: npt.NDArray[np.int64]) -> Flags:
    """Return which rows belong to a segment; of others nothing is known."""
    return np.asarray(segment != NO_INT)
