"""Score how far a row can be relied on: the rule that docs/features.md states."""

import numpy as np

from collector.features.practical import TOTAL_LEVELS, Book, Flags, Floats, Integers

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
    verified: Flags,
) -> Floats:
    """Return a score in [0, 1] for each row; `exchange_ms` is NaN where not sent."""
    last = min(TOTAL_LEVELS, book.bid_prices.shape[1]) - 1
    thin = np.isnan(book.bid_prices[:, last]) | np.isnan(book.ask_prices[:, last])
    latency_ms = received_at_ns / 1e6 - exchange_ms
    score: Floats = np.where(verified, 1.0, 1.0 - UNVERIFIED)
    score = score - np.where(thin & ten_known, THIN, 0.0)
    score = score - np.where(latency_ms > A_SECOND_MS, LATE, 0.0)
    score = score - np.where(latency_ms < -A_SECOND_MS, CLOCK_OFF, 0.0)
    score = score - np.where(np.isnan(exchange_ms), NO_EXCHANGE_TIME, 0.0)
    return np.clip(np.round(score, 2), 0.0, 1.0)
