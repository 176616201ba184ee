"""Cut frames into windows of rows; none crosses a hole. `labelling` says what came after."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from collector.database import STORED_LEVELS
from collector.errors import QueryError
from collector.query.any_frame import Frames, pieces
from collector.query.instants import Integers, row_count
from collector.query.rows import MOST_VALUES
from collector.query.stretches import Flags, numbers, stretches

Floats = npt.NDArray[np.float64]
# DeepLOB's order (Zhang, Zohren, Roberts 2019): ask price, ask size, bid price, bid size, level by level.
TENSOR_COLUMNS = tuple(
    f"{side}_{what}_{level}"
    for level in range(1, STORED_LEVELS + 1)
    for side in ("ask", "bid")
    for what in ("price", "size")
)
# Numbers that say how a row came here, and nothing of the market.
BOOKKEEPING = frozenset(
    {
        *("id", "segment", "segment_id", "received_at_ns", "exchange_timestamp", "open_time", "sequence"),
        *("depth", "data_quality_score", "confirmed", "corrected"),
    }
)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of consecutive rows, and the place in the frame of the last row of each."""

    samples: Floats  # (windows, length, columns)
    last: Integers  # of a list of frames: the place among the rows of all, end to end
    columns: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.last)


def windows(frame: Frames, length: int, step: int = 1, *, columns: Sequence[str] | None = None) -> Windows:
    """Return every `step`-th window of `length` rows that lies in one segment and lacks no value.

    The frame is of pandas, polars or Arrow, or a list of such, as on_gap="split" gives them: no window goes
    from one into the next. All columns of numbers are taken unless some are named, but none that keeps books
    (`exchange_timestamp`, `sequence`, `depth`, `data_quality_score`). A first row of a segment has no order
    flow (`ofi`), so that it begins no window where that is among the columns. Where no window is whole, a
    warning says why, and an error names a column that no row has.
    """
    length, step = row_count("length", length), row_count("step", step)
    frames = pieces(frame)
    chosen = _chosen(frames, columns)
    values = np.concatenate([np.empty((0, len(chosen))), *(numbers(one, chosen) for one in frames)])
    stretch, known = stretches(frames)
    missing = np.isnan(values)
    good = known & ~missing.any(axis=1)
    whole = stretch + np.cumsum(~good)
    last = np.arange(length - 1, len(values), dtype=np.int64)
    first = last - length + 1
    last = last[good[first] & good[last] & (whole[first] == whole[last])]
    last = last[_every(whole[last], step)]
    if not len(last):
        _tell_why(f"no window of {length} rows", chosen, missing, _in_long_stretches(stretch, known, length))
        return Windows(np.empty((0, length, len(chosen))), last, chosen)
    _refuse_large(len(last), length, len(chosen))
    view = np.lib.stride_tricks.sliding_window_view(values, length, axis=0)
    return Windows(view[last - length + 1].transpose(0, 2, 1), last, chosen)


def _refuse_large(count: int, length: int, columns: int) -> None:
    """Raise QueryError for windows that no memory should hold, before they are cut."""
    most = 4 * MOST_VALUES
    if count * length * columns > most:
        raise QueryError(
            f"these are {count:,} windows of {length:,} rows and {columns} columns, "
            f"{count * length * columns * 8 / 1e9:,.0f} GB; expected at most {most * 8 / 1e9:,.0f}: choose a "
            "larger step, fewer columns=[...], or cut a part of the frame after the other"
        )


def book_tensor(levels: Frames, length: int, step: int = 1) -> Floats:
    """Return (samples, length, 40): windows of ten levels in DeepLOB's order; none crosses a hole.

    `levels` are what `load_levels` returned, a list of frames too. A window in which a level is missing is
    left out like one with a hole. Numbers are as stored: normalise with the past only.
    """
    frames = pieces(levels)
    for one in frames:
        missing = [name for name in TENSOR_COLUMNS if name not in one]
        if missing:
            raise QueryError(f"the frame has no column {missing[0]}; expected one that load_levels made")
    return windows(frames, length, step, columns=TENSOR_COLUMNS).samples


def _every(stretch: Integers, step: int) -> Flags:
    """Return which rows to keep: the first of each stretch and every step-th after it."""
    if not len(stretch):
        return np.empty(0, dtype=np.bool_)
    starts = np.r_[True, stretch[1:] != stretch[:-1]]
    begin = np.maximum.accumulate(np.where(starts, np.arange(len(stretch)), 0))
    return np.asarray((np.arange(len(stretch)) - begin) % step == 0)


def _chosen(frames: Sequence[pd.DataFrame], columns: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(columns, str):
        raise QueryError(f'columns is {columns!r}; expected a list: ["{columns}"]')
    if columns is None:
        first = frames[0] if frames else pd.DataFrame()
        numeric = [name for name in first.columns if pd.api.types.is_numeric_dtype(first[name])]
        columns = [name for name in numeric if name not in BOOKKEEPING]
    if frames and not columns:
        raise QueryError("there is no column of numbers to cut; name some with columns=[...]")
    return tuple(columns)


def _in_long_stretches(stretch: Integers, known: Flags, length: int) -> Flags:
    """Return which rows belong to a stretch that holds a window."""
    run = stretch + np.cumsum(~known)
    _, places, counts = np.unique(run[known], return_inverse=True, return_counts=True)
    found = known.copy()
    found[known] = counts[places] >= length
    return found


def _tell_why(none: str, columns: tuple[str, ...], missing: npt.NDArray[np.bool_], candidates: Flags) -> None:
    """Say which columns left no window; raise QueryError where no row has one of them."""
    lacking = np.count_nonzero(missing[candidates], axis=0)
    count = np.count_nonzero(candidates)
    if not count:
        why = "no stretch without a hole is so long"
    elif never := [name for name, lacks in zip(columns, lacking, strict=True) if lacks == count]:
        raise QueryError(f"{none} is whole: no row has {', '.join(never)}; name others with columns=[...]")
    else:
        most = int(np.argmax(lacking))
        why = f"{columns[most]} is missing in {lacking[most]:,} of {count:,} rows"
    warnings.warn(f"{none}: {why}", stacklevel=3)
