"""Cut frames into windows and label their rows; no window or label crosses a hole."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from collector.database import STORED_LEVELS
from collector.errors import QueryError
from collector.query.frames import CHAINS, SPACING
from collector.query.instants import duration_ns

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Horizon = str | int
_BY_RECEIPT = (
    "what lies between two rows cannot be told; expected the order of time, as by receipt "
    '(index="received_at"); take frames from before and after a clock was set back one by one'
)
BASIS_POINTS = 10_000.0
# DeepLOB's order (Zhang, Zohren, Roberts 2019): ask price, ask size, bid price, bid size, level by level.
TENSOR_COLUMNS = tuple(
    f"{side}_{what}_{level}"
    for level in range(1, STORED_LEVELS + 1)
    for side in ("ask", "bid")
    for what in ("price", "size")
)


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


def book_tensor(levels: pd.DataFrame, length: int, step: int = 1) -> npt.NDArray[np.float64]:
    """Return (samples, length, 40): windows of ten levels in DeepLOB's order; none crosses a hole.

    A window in which a level is missing is left out like one with a hole. Numbers are as stored: normalise
    with the past only.
    """
    missing = sorted(set(TENSOR_COLUMNS) - set(levels.columns))
    if missing:
        raise QueryError(f"the frame has no column {missing[0]}; expected one that load_levels made")
    return windows(levels, length, step, columns=TENSOR_COLUMNS).samples


def stretches(frame: pd.DataFrame) -> tuple[Integers, Flags]:
    """Return the number of each row's unbroken stretch, and which rows belong to one.

    An instant that was taken out of an evenly spaced frame leaves a break as well.
    """
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


def _every(stretch: Integers, step: int) -> Flags:
    """Return which rows to keep: the first of each stretch and every step-th after it."""
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


def labels(
    frame: pd.DataFrame,
    horizon: Horizon,
    *,
    price: str = "mid_price",
    threshold_bps: float = 0.0,
    barrier_bps: float | tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Return for each row what the price did within the horizon ("10s", or a number of rows).

    `move_bps` is the move to the last state at the horizon's end, `direction` its sign (0 up to the
    threshold). With `barrier_bps` (one number, or below and above) `barrier` says which is touched first
    (-1, 1, or 0 for neither) and `touched_after` how long it took. What lies beyond the end of the row's
    stretch was not seen: there all is missing, unless a barrier was touched before.
    """
    if price not in frame:
        raise QueryError(f"the frame has no column {price}; labels need a price")
    future = _Future.of(frame, horizon, price)
    move = np.full(len(frame), np.nan)
    seen = future.target >= 0
    start = future.price[seen]
    move[seen] = (future.price[future.target[seen]] - start) / start * BASIS_POINTS
    direction = np.where(np.abs(move) <= threshold_bps, 0.0, np.sign(move))
    result = pd.DataFrame({"move_bps": move, "direction": _classes(direction)}, index=frame.index)
    if barrier_bps is None:
        return result
    below, above = barrier_bps if isinstance(barrier_bps, tuple) else (barrier_bps, barrier_bps)
    if below <= 0 or above <= 0:
        raise QueryError(f"barrier_bps is {barrier_bps!r}; expected numbers above 0")
    touched, after_ns = _first_touch(future, below, above)
    result["barrier"] = _classes(touched)
    result["touched_after"] = pd.to_timedelta(pd.Series(after_ns, index=frame.index), unit="ns")
    return result


@dataclass(frozen=True, slots=True)
class _Future:
    """The rows ahead of each row, within its stretch and up to the horizon."""

    price: Floats
    at_ns: Integers
    end: Integers  # the last row within stretch and horizon
    target: Integers  # the row whose state stands at the horizon; -1: not seen

    @classmethod
    def of(cls, frame: pd.DataFrame, horizon: Horizon, price: str) -> "_Future":
        stretch, good = stretches(frame)
        prices = frame[price].to_numpy(dtype=np.float64, na_value=np.nan)
        bad = ~good | np.isnan(prices)
        stretch = stretch + np.cumsum(bad) + np.cumsum(np.r_[False, bad[:-1]][: len(bad)])
        at_ns = instants(frame)
        rows = np.arange(len(frame), dtype=np.int64)
        stretch_end = np.searchsorted(stretch, stretch, side="right") - 1
        if isinstance(horizon, int):
            if horizon < 1:
                raise QueryError(f"horizon is {horizon}; expected rows from 1, or a duration")
            wanted = rows + horizon
            is_seen = wanted <= stretch_end
        else:
            until_ns = at_ns + duration_ns("horizon", horizon)
            wanted = np.searchsorted(at_ns, until_ns, side="right") - 1
            is_seen = until_ns <= at_ns[stretch_end] if len(frame) else np.zeros(0, dtype=np.bool_)
        target = np.where(is_seen & ~bad, wanted, -1)
        return cls(prices, at_ns, np.where(bad, rows, np.minimum(wanted, stretch_end)), target)


def _first_touch(future: _Future, below: float, above: float) -> tuple[Floats, npt.NDArray[np.float64]]:
    """Return which barrier each row touches first and after how long, looking ahead one row at a time."""
    count = len(future.price)
    touched = np.where(future.target >= 0, 0.0, np.nan)
    after_ns = np.full(count, np.nan)
    upper = future.price * (1.0 + above / BASIS_POINTS)
    lower = future.price * (1.0 - below / BASIS_POINTS)
    active = np.arange(count, dtype=np.int64)
    ahead = 1
    while len(active := active[active + ahead <= future.end[active]]):
        then = future.price[active + ahead]
        side = np.where(then >= upper[active], 1.0, np.where(then <= lower[active], -1.0, 0.0))
        hit = active[side != 0.0]
        touched[hit] = side[side != 0.0]
        after_ns[hit] = future.at_ns[hit + ahead] - future.at_ns[hit]
        active = active[side == 0.0]
        ahead += 1
    return touched, after_ns


def _classes(values: Floats) -> pd.api.extensions.ExtensionArray:
    missing = np.isnan(values)
    return pd.arrays.IntegerArray(np.where(missing, 0.0, values).astype(np.int8), missing)
