"""Compute the features of the hot table, for a whole batch at once.

Each number here has a slow, obvious twin in the tests and must equal it bit for bit: sums are explicit
adds, best level first, so that the size of a batch changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TOTAL_LEVELS = 10
BASIS_POINTS = 10_000.0


@dataclass(frozen=True, slots=True)
class Book:
    """The best levels of many book states; NaN where a side has no such level."""

    bid_prices: Floats  # rows x levels
    bid_sizes: Floats
    ask_prices: Floats
    ask_sizes: Floats

    @classmethod
    def from_flat(cls, numbers: Floats, levels: int) -> "Book":
        """Read what OrderBook.top wrote, row after row."""
        shaped = numbers.reshape(-1, 4, levels)
        return cls(shaped[:, 0], shaped[:, 1], shaped[:, 2], shaped[:, 3])


def practical(book: Book, ten_known: Flags) -> Mapping[str, Floats]:
    """Return the columns of the hot table that follow from one state; NaN is NULL.

    `ten_known` says where the exchange has shown the best ten levels, or all where there are fewer.
    """
    best = {
        "bid_price_1": book.bid_prices[:, 0],
        "bid_size_1": book.bid_sizes[:, 0],
        "ask_price_1": book.ask_prices[:, 0],
        "ask_size_1": book.ask_sizes[:, 0],
    }
    totals = {
        "total_bid_volume_10": np.where(ten_known, _total(book.bid_sizes), np.nan),
        "total_ask_volume_10": np.where(ten_known, _total(book.ask_sizes), np.nan),
    }
    return {**best, **derived({**best, **totals}), **totals}


def derived(stored: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return what follows from the best level and the totals, which stand in the table beside it."""
    bid, bid_size = stored["bid_price_1"], stored["bid_size_1"]
    ask, ask_size = stored["ask_price_1"], stored["ask_size_1"]
    total_bid, total_ask = stored["total_bid_volume_10"], stored["total_ask_volume_10"]
    total = total_bid + total_ask
    mid = (bid + ask) / 2.0
    spread = ask - bid
    with np.errstate(divide="ignore", invalid="ignore"):
        imbalance = np.where(total > 0.0, (total_bid - total_ask) / total, np.nan)
    return {
        "mid_price": mid,
        "spread": spread,
        "spread_bps": spread / mid * BASIS_POINTS,
        "microprice": (bid * ask_size + ask * bid_size) / (bid_size + ask_size),
        "order_book_imbalance": imbalance,
    }


def _total(sizes: Floats) -> Floats:
    """Add up the sizes of the best ten levels, the best first; a missing level adds nothing."""
    total = np.zeros(len(sizes))
    for level in range(min(TOTAL_LEVELS, sizes.shape[1])):
        size = sizes[:, level]
        total = total + np.where(np.isnan(size), 0.0, size)
    return total
