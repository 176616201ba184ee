"""Parse and write instants, durations and spans.

pandas is imported where it is used: `verify` and `status` need none, and would start half as fast.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from collector.errors import QueryError

if TYPE_CHECKING:
    import pandas as pd

Integers = npt.NDArray[np.int64]
Instant: TypeAlias = "str | pd.Timestamp | datetime | np.datetime64 | int | float | None"
Duration: TypeAlias = "str | pd.Timedelta | timedelta | np.timedelta64 | None"

TEXT_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
DAY_NS = 86_400_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_2000_S = 946_684_800
# Units of numbers that count from 1970 to a time after 2000, and what pandas calls them.
_COUNTED = (("microseconds", 1e6, "us"), ("milliseconds", 1e3, "ms"), ("seconds", 1.0, "s"))
_EXPECTED_INSTANT = "expected an instant such as 2026-01-31T12:00Z"
_BARE_NUMBER = re.compile(r"[-+]?[\d._\s]+")
_DIGITS_OF_A_DATE = 8  # 20260131; longer ones count from 1970
_YEAR_FIRST = re.compile(r"\d{4}(?!\d)|\d{8}(?!\d)")
_DAY_OR_MONTH_FIRST = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b")
_NAMED_MONTH = re.compile(r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b", re.IGNORECASE)
_NAMED_YEAR = re.compile(r"\b\d{4}\b")


@dataclass(frozen=True, slots=True)
class Span:
    """The instants in [start, end); None is open."""

    start_ns: int | None = None
    end_ns: int | None = None

    @classmethod
    def of(cls, start: Instant, end: Instant) -> "Span":
        """Return the span from what a caller gave."""
        span = cls(instant_ns("start", start), instant_ns("end", end))
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
    """Return an instant in nanoseconds since 1970; raise QueryError for what may mean another one.

    That is a number of anything but nanoseconds, a date that does not begin with its year, a duration, and
    all before 2000, when nothing was collected.
    """
    if instant is None:
        return None
    given: Any = _unambiguous(name, instant) if isinstance(instant, str) else instant
    if isinstance(given, timedelta | np.timedelta64):
        ago = 'an hour ago is pd.Timestamp.now("UTC") - pd.Timedelta("1h")'
        raise QueryError(f"{name} is {given!r}, a duration; {_EXPECTED_INSTANT}; {ago}")
    if isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool):
        return _number_ns(name, given)
    return _moment_ns(name, given)


def duration_ns(name: str, duration: Duration) -> int:
    """Return a duration in nanoseconds; raise QueryError for a number without a unit."""
    import pandas as pd  # noqa: PLC0415

    expected = 'expected a duration such as "100ms" or "1s"'
    if _has_no_unit(duration):
        raise QueryError(f"{name} is {duration!r}, a number without a unit; {expected}")
    given: Any = duration
    try:
        found = int(pd.Timedelta(given).as_unit("ns").value)
    except (ValueError, TypeError, OverflowError):
        found = 0
    if found <= 0:  # NaT is the least number there is
        raise QueryError(f"{name} is {duration!r}; {expected}")
    return found


def row_count(name: str, rows: "int | np.integer[Any]", least: int = 1) -> int:
    """Return a number of rows; raise QueryError for what is not a whole number from `least` on."""
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < least:
        raise QueryError(f"{name} is {rows!r}; expected a whole number of rows from {least}")
    return int(rows)


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
    return whole_ns(datetime.fromisoformat(day).replace(tzinfo=UTC))


def whole_ns(moment: datetime) -> int:
    """Return an instant with a time zone in nanoseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def index_of(at_ns: Integers, name: str = "received_at") -> "pd.DatetimeIndex":
    """Return the instants as an index in UTC."""
    import pandas as pd  # noqa: PLC0415

    return pd.DatetimeIndex(at_ns, dtype="datetime64[ns, UTC]", copy=False, name=name)


def _moment(at_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_ns // 1000)


def _unambiguous(name: str, text: str) -> str | int:
    """Return a text that can mean one instant only; what counts from 1970, as a number."""
    found = text.strip()
    if found.isascii() and found.isdecimal() and len(found) > _DIGITS_OF_A_DATE:
        return int(found)
    if _DAY_OR_MONTH_FIRST.match(found):
        raise QueryError(
            f"{name} is {text!r}, which may be read with the day or the month first; "
            "expected the year first: 2026-01-31"
        )
    is_named = _NAMED_MONTH.search(found) and _NAMED_YEAR.search(found)
    if not (_YEAR_FIRST.match(found) or is_named):
        raise QueryError(f"{name} is {text!r}; {_EXPECTED_INSTANT}")
    return found


def _number_ns(name: str, number: "int | float | np.integer[Any] | np.floating[Any]") -> int:
    """Return a number of nanoseconds; raise QueryError for one that counts something longer."""
    value = float(number)
    if _YEAR_2000_S * 1e9 <= value < 2**63:
        return int(number)
    expected = f"{name} is {number!r}; expected nanoseconds since 1970"
    units = [(unit, short) for unit, per_second, short in _COUNTED if value >= _YEAR_2000_S * per_second]
    if value >= 2**63:
        raise QueryError(f"{expected}, and that is after the year 2262")
    if not units:
        raise QueryError(
            f"{expected}, and that is before the year 2000; "
            "an instant may be written as text as well: 2026-01-31T12:00Z"
        )
    unit, short = units[0]
    raise QueryError(
        f"{expected}, and it looks like {unit} since 1970: "
        f'write pd.Timestamp({int(number)}, unit="{short}"), or text such as 2026-01-31T12:00Z'
    )


def _moment_ns(name: str, instant: Any) -> int:
    import pandas as pd  # noqa: PLC0415

    moment = None
    if not isinstance(instant, bool):
        try:
            moment = pd.Timestamp(instant)
            if not pd.isna(moment):
                zoned = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
                found = int(zoned.as_unit("ns").value)
        except (ValueError, TypeError, OverflowError):
            moment = None
    if moment is None or pd.isna(moment):
        raise QueryError(f"{name} is {instant!r}; {_EXPECTED_INSTANT}")
    if found < _YEAR_2000_S * 1_000_000_000:
        raise QueryError(f"{name} is {instant!r}, before the year 2000; {_EXPECTED_INSTANT}")
    return found


def _has_no_unit(duration: Any) -> bool:
    if isinstance(duration, np.timedelta64):
        return np.datetime_data(duration)[0] == "generic"
    if isinstance(duration, str):
        return _BARE_NUMBER.fullmatch(duration) is not None
    return isinstance(duration, int | float | np.integer | np.floating)
