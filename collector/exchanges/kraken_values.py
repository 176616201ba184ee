"""Read times of Kraken's websocket v2, and refuse numbers that no market could have."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from collector.errors import FrameError

INT64_MAX = 2**63 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

Market = Annotated[str, msgspec.Meta(min_length=1)]  # Kraken's own name of one: BTC/USD


def optional_milliseconds(timestamp: str | None) -> int | None:
    """Read a time that is not always sent."""
    return None if timestamp is None else milliseconds(timestamp)


def milliseconds(timestamp: str) -> int:
    """Read RFC 3339, with whatever decimals, as whole milliseconds since the epoch, cut off."""
    try:
        since = (datetime.fromisoformat(timestamp) - EPOCH) // MILLISECOND
    except (ValueError, TypeError) as error:  # TypeError: no time zone in it
        raise FrameError("malformed", f"timestamp {timestamp!r}: {error}") from error
    check_whole("timestamp", since)
    return since


def check_whole(what: str, number: int) -> None:
    """Refuse a whole number that is negative or too large to be stored."""
    if not 0 <= number <= INT64_MAX:
        raise FrameError("out_of_range", f"{what} {number}")


def check_positive(what: str, number: float, limit: float) -> None:
    """Refuse a price or a size that is 0, negative or absurd."""
    if not 0.0 < number < limit:  # JSON has no NaN and no infinity
        raise FrameError("out_of_range", f"{what} {number!r}: more than 0 and less than {limit:g} expected")
