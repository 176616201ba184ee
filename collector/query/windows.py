"""Cut frames into windows, and give them labels: nothing crosses a hole, and no label looks past one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from collector.errors import QueryError
from collector.query.frames import SPACING

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of consecutive rows, and the place in the frame of the last row of each."""

    samples: Floats  # (windows, length, columns)
    last: Integers
    columns: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.last)


def windows(
    frame: pd.DataFrame, length: int, step: int = 1, *, columns: Sequence[str] | None = None
) -> Windows:
    """Return every `step`-th window of `length` rows that lies in one segment and lacks no value.

    All columns of numbers are taken unless some are named. A first row of a segment has no order flow
    (`ofi`), so that it begins no window where that is among the columns.
    """
    if length < 1 or step < 1:
        raise QueryError(f"length is {length} and step is {step}; expected whole numbers from 1")
    stretch, good = stretches(frame)
    chosen = tuple(_numbers(frame) if columns is None else columns)
    values = np.column_stack([frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in chosen])
    good = good & ~np.isnan(values).any(axis=1)
    stretch = stretch + np.cumsum(~good)
    last = np.arange(length - 1, len(frame), dtype=np.int64)
    first = last - length + 1
    whole = good[first] & good[last] & (stretch[first] == stretch[last])
    last = last[whole]
    last = last[_every(stretch[last], step)]
    if not len(last):
        return Windows(np.empty((0, length, len(chosen))), last, chosen)
    view = np.lib.stride_tricks.sliding_window_view(values, length, axis=0)
    return Windows(view[last - length + 1].transpose(0, 2, 1), last, chosen)


def stretches(frame: pd.DataFrame) -> tuple[Integers, Flags]:
    """Number the unbroken stretches of a frame, and say which rows belong to any.

    An instant that was taken out of an evenly spaced frame leaves a break as well.
    """
    if "segment" not in frame:
        raise QueryError(
            "the frame has no column `segment`; expected one that a loader made, not cut from it"
        )
    if not len(frame):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_)
    known = frame["segment"].notna().to_numpy(dtype=np.bool_)
    codes = pd.factorize(frame["segment"])[0]
    changes = np.r_[True, codes[1:] != codes[:-1]]
    spacing_ns = frame.attrs.get(SPACING)
    if spacing_ns is not None:
        changes |= np.r_[False, np.diff(instants(frame)) != spacing_ns]
    return np.cumsum(changes).astype(np.int64), known


def instants(frame: pd.DataFrame) -> Integers:
    """Return the index in nanoseconds."""
    if not isinstance(frame.index, pd.DatetimeIndex):
        raise QueryError("the frame is not indexed by time; expected one that a loader made")
    return frame.index.as_unit("ns").asi8


def _every(stretch: Integers, step: int) -> Flags:
    """Keep the first of each stretch and every step-th after it."""
    if not len(stretch):
        return np.empty(0, dtype=np.bool_)
    starts = np.r_[True, stretch[1:] != stretch[:-1]]
    begin = np.maximum.accumulate(np.where(starts, np.arange(len(stretch)), 0))
    return np.asarray((np.arange(len(stretch)) - begin) % step == 0)


def _numbers(frame: pd.DataFrame) -> list[str]:
    return [
        name
        for name in frame.columns
        if name not in {"segment", "corrected"} and pd.api.types.is_numeric_dtype(frame[name])
    ]
