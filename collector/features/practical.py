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
    def of(cls, states: Floats) -> "Book":
        """Read states of rows x 4 x levels, each as OrderBook.top wrote it."""
        return cls(states[:, 0], states[:, 1], states[:, 2], states[:, 3])


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
        "total_bid_volume_10": np.where(ten_known, total(book.bid_sizes, TOTAL_LEVELS), np.nan),
        "total_ask_volume_10": np.where(ten_known, total(book.ask_sizes, TOTAL_LEVELS), np.nan),
    }
    return {**best, **derived({**best, **totals}), **totals}


def derived(stored: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the columns that follow from the best level and the totals."""
    bid, bid_size = stored["bid_price_1"], stored["bid_size_1"]
    ask, ask_size = stored["ask_price_1"], stored["ask_size_1"]
    total_bid, total_ask = stored["total_bid_volume_10"], stored["total_ask_volume_10"]
    mid = (bid + ask) / 2.0
    spread = ask - bid
    return {
        "mid_price": mid,
        "spread": spread,
        "spread_bps": spread / mid * BASIS_POINTS,
        "microprice": (bid * ask_size + ask * bid_size) / (bid_size + ask_size),
        "order_book_imbalance": imbalance(total_bid, total_ask),
    }


def total(sizes: Floats, levels: int) -> Floats:
    """Add up the sizes of the best levels, the best first; a missing level adds nothing."""
    best = sizes[:, :levels]
    present = np.where(np.isnan(best), 0.0, best)
    added = np.zeros(len(best))
    for level in range(best.shape[1]):
        added += present[:, level]
    return added


def imbalance(total_bid: Floats, total_ask: Floats) -> Floats:
    """Return (bid - ask) / (bid + ask); NaN where both are empty."""
    both = total_bid + total_ask
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Floats = np.where(both > 0.0, (total_bid - total_ask) / both, np.nan)
    return share


UNVERIFIED = 0.5  # nothing proves the book
THIN = 0.1  # ten levels would be known, and a side has fewer
LATE = 0.2  # received more than a second after the exchange's own time
CLOCK_OFF = 0.1  # received more than a second before it: one of the clocks is wrong
NO_EXCHANGE_TIME = 0.05  # the exchange sent no time to compare with
A_SECOND_MS = 1000.0


def quality(
    book: Book,
    ten_known: Flags,
    received_at_ns: Integers,
    exchange_ms: Floats,
    verified: Flags | bool,
) -> Floats:
    """Return a score in [0, 1] for each row; `exchange_ms` is NaN where it was not sent."""
    last = min(TOTAL_LEVELS, book.bid_prices.shape[1]) - 1
    thin = np.isnan(book.bid_prices[:, last]) | np.isnan(book.ask_prices[:, last])
    latency_ms = received_at_ns / 1e6 - exchange_ms
    score: Floats = np.where(verified, 1.0, 1.0 - UNVERIFIED)
    score = score - np.where(thin & ten_known, THIN, 0.0)
    score = score - np.where(latency_ms > A_SECOND_MS, LATE, 0.0)
    score = score - np.where(latency_ms < -A_SECOND_MS, CLOCK_OFF, 0.0)
    score = score - np.where(np.isnan(exchange_ms), NO_EXCHANGE_TIME, 0.0)
    return np.clip(np.round(score, 2), 0.0, 1.0)
