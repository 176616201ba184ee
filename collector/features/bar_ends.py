"""Reckon when bars are over: weeks and months are no multiples of their length since 1970."""

import re
from typing import Literal

import numpy as np

from collector.features.practical import Integers

_Unit = Literal["s", "m", "h", "D", "W", "M"]
_UNITS: dict[str, _Unit] = {"s": "s", "m": "m", "h": "h", "d": "D", "w": "W", "M": "M"}
_NAMED = re.compile(r"([1-9][0-9]{0,4})([smhdwM])")


def ends_ms(open_ms: Integers, interval: str) -> Integers:
    """Return the ends of bars that open at these times: of `1m`, `4h`, `1d`, `1w`, `1M` and the like."""
    named = _NAMED.fullmatch(interval)
    if named is None:
        raise ValueError(f"the length of bars of {interval!r} is not known")
    count, unit = int(named[1]), _UNITS[named[2]]
    opens = open_ms.astype("datetime64[ms]")
    if unit == "M":
        months = opens.astype("datetime64[M]")
        ends = opens + ((months + count).astype("datetime64[ms]") - months.astype("datetime64[ms]"))
    else:
        ends = opens + np.timedelta64(count, unit)
    found: Integers = ends.astype(np.int64)
    return found
