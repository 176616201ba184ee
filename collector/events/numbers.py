"""Reject numbers in frames that no market could have."""

from math import isfinite

from collector.errors import FrameError
from collector.events.columns import INT64_MAX

MAX_PRICE = 1e15  # beyond any market; also refuses infinity
MAX_SIZE = 1e18


def check_whole(what: str, number: int) -> None:
    """Refuse a whole number that is negative or too large to be stored."""
    if not 0 <= number <= INT64_MAX:
        raise FrameError("out_of_range", f"{what} {number}")


def check_positive(what: str, number: float, limit: float) -> None:
    """Refuse a price or a size that is 0, negative, absurd or no number."""
    if not 0.0 < number < limit:
        raise FrameError(_reason(number), f"{what} {number!r}: more than 0 and less than {limit:g} expected")


def check_best(side: str, price: float, size: float) -> None:
    """Refuse a best price and its size that no market could have; 0 of both is a side without an order."""
    if price or size:
        check_positive(f"{side} price", price, MAX_PRICE)
        check_positive(f"{side} size", size, MAX_SIZE)


def impossible_level(price: float, size: float) -> FrameError:
    """Return the error for a level of a book that no market could have."""
    expected = "a price above 0 and a size of 0 or more expected"
    return FrameError(_reason(price, size), f"level {price!r} x {size!r}: {expected}")


def _reason(*numbers: float) -> str:
    return "out_of_range" if all(map(isfinite, numbers)) else "not_finite"
