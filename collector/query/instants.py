"""Parse and write instants, durations and spans.

pandas is imported where it is used: `verify` and `status` need none, and would start half as fast.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from collector.errors import QueryError

if TYPE_CHECKING:
    import pandas as pd

Integers = npt.NDArray[np.int64]
Instant: TypeAlias = "str | pd.Timestamp | int | float | None"

TEXT_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
DAY_NS = 86_400_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_2000_S = 946_684_800
_COUNTED = (("microseconds", 1e6), ("milliseconds", 1e3), ("seconds", 1.0))


@dataclass(frozen=True, slots=True)
class Span:
    """The instants in [start, end); None is open."""

    start_ns: int | None = None
    end_ns: int | None = None

    @classmethod
    def of(cls, start: Instant, end: Instant) -> "Span":
        """Return the span from what a caller gave."""
        span = cls(_ns("start", start), _ns("end", end))
        if span.start_ns is not None and span.end_ns is not None and span.end_ns < span.start_ns:
            raise QueryError(f"end {end!r} is before start {start!r}")
        return span

    def holds(self, at_ns: Integers) -> npt.NDArray[np.bool_]:
        """Return which instants lie in it."""
        inside = np.ones(len(at_ns), dtype=np.bool_)
        if self.start_ns is not None:
            inside &= at_ns >= self.start_ns
        if self.end_ns is not None:
            inside &= at_ns < self.end_ns
        return inside


def instant_ns(name: str, instant: Instant) -> int | None:
    """Return an instant in nanoseconds since 1970."""
    return _ns(name, instant)


def duration_ns(name: str, text: str) -> int:
    """Return a duration in nanoseconds."""
    import pandas as pd  # noqa: PLC0415

    try:
        found = int(pd.Timedelta(text).as_unit("ns").value)
    except ValueError:
        found = 0
    if found <= 0:
        raise QueryError(f'{name} is {text!r}; expected a duration such as "100ms" or "1s"')
    return found


def text_of(at_ns: int) -> str:
    """Write an instant as the tables do, cut to the microsecond."""
    return _moment(at_ns).strftime(TEXT_FORMAT)


def shown(at_ns: int) -> str:
    """Write an instant for a person, to the nanosecond."""
    below = at_ns % 1000
    text = _moment(at_ns).isoformat(timespec="microseconds" if below else "auto")
    return text.replace("+", f"{below:03}+") if below else text


def midnight_ns(day: str) -> int:
    """Return the instant at which a day of UTC begins."""
    return (datetime.fromisoformat(day).replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) * 1000


def index_of(at_ns: Integers, name: str = "received_at") -> "pd.DatetimeIndex":
    """Return the instants as an index in UTC."""
    import pandas as pd  # noqa: PLC0415

    return pd.DatetimeIndex(at_ns.astype("datetime64[ns]"), tz="UTC", name=name)


def _moment(at_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_ns // 1000)


def _number_ns(name: str, number: "int | float | np.integer[Any]") -> int:
    """Return a number of nanoseconds; raise QueryError for one that counts something longer."""
    value = float(number)
    if value >= _YEAR_2000_S * 1e9:
        return int(number)
    units = [unit for unit, per_second in _COUNTED if value >= _YEAR_2000_S * per_second]
    guess = f"it looks like {units[0]} since 1970" if units else "that is before the year 2000"
    raise QueryError(
        f"{name} is {number!r}; expected nanoseconds since 1970, and {guess}; "
        "an instant may be written as text as well: 2026-01-31T12:00Z"
    )


def _ns(name: str, instant: Instant) -> int | None:
    if instant is None:
        return None
    if isinstance(instant, int | float | np.integer):
        return _number_ns(name, instant)
    import pandas as pd  # noqa: PLC0415

    try:
        moment = pd.Timestamp(instant)
    except ValueError:
        moment = None
    if moment is None or pd.isna(moment):
        raise QueryError(f"{name} is {instant!r}; expected an instant such as 2026-01-31T12:00Z")
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    return int(moment.as_unit("ns").value)
