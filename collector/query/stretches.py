"""Find the unbroken stretches of a frame: rows without a hole between them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from collector.errors import QueryError
from collector.query.frames import CHAINS, SPACING
from collector.query.instants import Integers

Flags = npt.NDArray[np.bool_]
_BY_RECEIPT = (
    "what lies between two rows cannot be told; expected the order of time, as by receipt "
    '(index="received_at"); take frames from before and after a clock was set back one by one'
)


def stretches(frames: Sequence[pd.DataFrame]) -> tuple[Integers, Flags]:
    """Return the number of each row's unbroken stretch, and which rows belong to one, of frames end to end.

    An instant that was taken out of an evenly spaced frame leaves a break as well, and so does the end of a
    frame.
    """
    stretch, known = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.bool_)]
    reached = 0
    for one in frames:
        own, is_known = stretches_of(one)
        stretch.append(own + reached)
        known.append(is_known)
        reached += len(one)
    return np.concatenate(stretch), np.concatenate(known)


def stretches_of(frame: pd.DataFrame) -> tuple[Integers, Flags]:
    """Return the same of one frame."""
    if "segment" not in frame:
        raise QueryError(
            "the frame has no column `segment`; expected one that a loader made, not cut from it"
        )
    if not len(frame):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_)
    known = frame["segment"].notna().to_numpy(dtype=np.bool_)
    segment = frame["segment"]
    if going_on := frame.attrs.get(CHAINS):
        segment = segment.map(lambda number: going_on.get(number, number), na_action="ignore")
    codes = pd.factorize(segment)[0]
    changes = np.r_[True, codes[1:] != codes[:-1]]
    at_ns = instants(frame)
    spacing_ns = frame.attrs.get(SPACING)
    if spacing_ns is not None:
        changes |= np.r_[False, np.diff(at_ns) != spacing_ns]
    return np.cumsum(changes).astype(np.int64), known


def numbers(frame: pd.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return columns of a frame side by side as numbers; raise QueryError for one that has none."""
    found = np.empty((len(frame), len(columns)))
    for place, name in enumerate(columns):
        if name not in frame:
            has = ", ".join(map(str, frame.columns))
            raise QueryError(f"the frame has no column {name}; expected one of {has}")
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise QueryError(f"the column {name} is not one of numbers; expected those of the market")
        found[:, place] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def instants(frame: pd.DataFrame) -> Integers:
    """Return the index in nanoseconds; raise QueryError for one that cannot say what came after what."""
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex):
        raise QueryError("the frame is not indexed by time; expected one that a loader made")
    if index.hasnans:
        raise QueryError(f"the index lacks {np.count_nonzero(index.isna())} instants: {_BY_RECEIPT}")
    if not index.is_monotonic_increasing:
        at_ns = index.as_unit("ns").asi8
        back = index[int(np.flatnonzero(np.diff(at_ns) < 0)[0]) + 1]
        raise QueryError(f"the index goes back, at {back.isoformat()}: {_BY_RECEIPT}")
    return index.as_unit("ns").asi8
