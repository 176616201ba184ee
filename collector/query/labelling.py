"""Label the rows of frames with what the price did next; no label crosses a hole."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from collector.errors import QueryError
from collector.query.any_frame import Frames, alike, evenly_ns, pieces
from collector.query.frames import SPACING, Frame
from collector.query.instants import Duration, Integers, duration_ns, row_count
from collector.query.stretches import instants, numbers, stretches_of

Floats = npt.NDArray[np.float64]
Horizon: TypeAlias = "Duration | int | np.integer[Any]"
BASIS_POINTS = 10_000.0


def labels(
    frame: Frames,
    horizon: Horizon,
    *,
    price: str = "mid_price",
    threshold_bps: float = 0.0,
    barrier_bps: float | tuple[float, float] | None = None,
) -> Frame:
    """Return for each row what the price did within the horizon ("10s", or a whole number of rows).

    `move_bps` is the move to the last state at the horizon's end, `direction` its sign (0 up to the
    threshold). With `barrier_bps` (one number, or below and above) `barrier` says which is touched first
    (-1, 1, or 0 for neither) and `touched_after` how long it took. What lies beyond the end of the row's
    stretch was not seen: there all is missing, unless a barrier was touched before.

    A frame of polars or Arrow is answered in kind, with its instants as the first column; a list of frames,
    as on_gap="split" gives them, with one frame that has the rows of all, end to end. A horizon shorter than
    the step of the frame is refused: the price cannot have moved.
    """
    frames = pieces(frame)
    ahead = _ahead(frames, horizon)
    below, above = barrier_bps if isinstance(barrier_bps, tuple) else (barrier_bps, barrier_bps)
    if below is not None and above is not None and (below <= 0 or above <= 0):
        raise QueryError(f"barrier_bps is {barrier_bps!r}; expected numbers above 0")
    futures = [_Future.of(one, ahead, price) for one in frames] or [_Future.of(_nothing(price), ahead, price)]
    found = [_labels(one, threshold_bps) for one in futures]
    if below is not None and above is not None:
        for one, future in zip(found, futures, strict=True):
            touched, after_ns = _first_touch(future, below, above)
            one["barrier"] = _classes(touched)
            one["touched_after"] = pd.to_timedelta(pd.Series(after_ns, index=one.index), unit="ns")
    if all((future.target < 0).all() for future in futures):
        warnings.warn(f"no row is followed by {horizon!r} without a hole: none has a label", stacklevel=2)
    return alike(found[0] if len(found) == 1 else pd.concat(found), frame)


def _labels(future: "_Future", threshold_bps: float) -> pd.DataFrame:
    move = np.full(len(future.price), np.nan)
    seen = future.target >= 0
    start = future.price[seen]
    move[seen] = (future.price[future.target[seen]] - start) / start * BASIS_POINTS
    direction = np.where(np.abs(move) <= threshold_bps, 0.0, np.sign(move))
    return pd.DataFrame({"move_bps": move, "direction": _classes(direction)}, index=future.index)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """How far labels look: so many rows, or so long."""

    rows: int = 0
    for_ns: int = 0


def _ahead(frames: Sequence[pd.DataFrame], horizon: Horizon) -> _Ahead:
    """Return how far to look; raise QueryError for a time in which no price can move."""
    if isinstance(horizon, int | np.integer):
        return _Ahead(rows=row_count("horizon", horizon))
    for_ns = duration_ns("horizon", horizon)
    for one in frames:
        step_ns = one.attrs.get(SPACING) or evenly_ns(instants(one))
        if step_ns is not None and for_ns < step_ns:
            raise QueryError(
                f"horizon is {horizon!r}, shorter than the step of the frame, {step_ns / 1e9:g} s: "
                "every label would be 0"
            )
    return _Ahead(for_ns=for_ns)


def _nothing(price: str) -> pd.DataFrame:
    """Return a frame without rows, for a list without frames."""
    index = pd.DatetimeIndex([], tz="UTC", name="received_at")
    return pd.DataFrame({price: [], "segment": pd.array([], dtype="Int64")}, index=index)


@dataclass(frozen=True, slots=True)
class _Future:
    """The rows ahead of each row, within its stretch and up to the horizon."""

    index: pd.Index
    price: Floats
    at_ns: Integers
    end: Integers  # the last row within stretch and horizon
    target: Integers  # the row whose state stands at the horizon; -1: not seen

    @classmethod
    def of(cls, frame: pd.DataFrame, ahead: _Ahead, price: str) -> "_Future":
        prices = numbers(frame, [price])[:, 0]
        stretch, good = stretches_of(frame)
        bad = ~good | np.isnan(prices)
        stretch = stretch + np.cumsum(bad) + np.cumsum(np.r_[False, bad[:-1]][: len(bad)])
        at_ns = instants(frame)
        rows = np.arange(len(frame), dtype=np.int64)
        stretch_end = np.searchsorted(stretch, stretch, side="right") - 1
        if ahead.rows:
            wanted = rows + ahead.rows
            is_seen = wanted <= stretch_end
        else:
            until_ns = at_ns + ahead.for_ns
            wanted = np.searchsorted(at_ns, until_ns, side="right") - 1
            is_seen = until_ns <= at_ns[stretch_end] if len(frame) else np.zeros(0, dtype=np.bool_)
        target = np.where(is_seen & ~bad, wanted, -1)
        return cls(frame.index, prices, at_ns, np.where(bad, rows, np.minimum(wanted, stretch_end)), target)


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
