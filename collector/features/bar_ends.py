"""Reckon where rows that REST brought stand in time: trades at the exchange's, bars at their end."""

import re
from typing import Literal

import numpy as np

from collector.events import NO_INT, REST
from collector.features.options import NANOSECONDS_A_MS
from collector.features.practical import Integers

_Unit = Literal["s", "m", "h", "D", "W", "M"]
_UNITS: dict[str, _Unit] = {"s": "s", "m": "m", "h": "h", "d": "D", "w": "W", "M": "M"}
_INTERVAL = re.compile(r"([1-9][0-9]{0,4})([smhdwM])")


def placed_ns(origin: str | None, received_at_ns: Integers, exchange_ms: Integers) -> Integers:
    """Return where rows stand: at their receipt, or at the exchange's time if REST brought them."""
    if origin != REST:
        return received_at_ns
    return np.where(exchange_ms == NO_INT, received_at_ns, exchange_ms * NANOSECONDS_A_MS)


def ends_ms(open_ms: Integers, interval: str) -> Integers:
    """Return the ends of bars that open at these times; a month is no multiple of anything."""
    named = _INTERVAL.fullmatch(interval)
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


def end_ms(open_ms: int, interval: str) -> int:
    """Return the end of one bar."""
    return int(ends_ms(np.array([open_ms], dtype=np.int64), interval)[0])
