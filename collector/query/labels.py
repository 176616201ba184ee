"""Say what came after each row, where that was seen: the targets that a model learns."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from collector.errors import QueryError
from collector.query.instants import duration_ns
from collector.query.windows import Floats, Integers, instants, stretches

BASIS_POINTS = 10_000.0
Horizon = str | int


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
    """How far each row can see: within its stretch, up to the horizon."""

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
    """Look ahead row by row, all rows at once, those that have touched no more."""
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
