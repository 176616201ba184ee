"""Estimate how many messages a stream may bring, and how many bytes its rows take.

What an exchange pushes at fixed intervals comes no faster; what has no interval is what a busy market was
seen to send, and a quiet one sends far less.
"""

from dataclasses import dataclass
from typing import Literal

from collector.events.channel import OHLCV, TRADE, Channel
from collector.exchanges.registry import exchange_of

Table = Literal["book", "levels", "trades", "ohlcv"]

# On SQLite, with indexes, as measured over 100,000 rows; `plan --measure` measures the real ones.
BYTES_A_ROW: dict[Table, float] = {"book": 300.0, "levels": 650.0, "trades": 320.0, "ohlcv": 190.0}

MINUTES = {"m": 1, "h": 60, "d": 1440, "w": 10_080, "M": 43_200}


@dataclass(frozen=True, slots=True)
class ExpectedRate:
    """How many messages a second to expect of one stream, at most or in a busy market."""

    messages_a_s: float
    is_bound: bool  # the exchange pushes no faster
    rows_a_s: dict[Table, float]

    @property
    def bytes_a_s(self) -> float:
        """Sum the bytes a second of its rows."""
        return sum(BYTES_A_ROW[table] * rate for table, rate in self.rows_a_s.items())


def expected(
    exchange: str,
    kind: str | None,
    channel: str,
    *,
    deep: bool,
    most_book_rows_a_s: float | None = None,
) -> ExpectedRate:
    """Return what to expect of a stream; `kind` None is a market whose kind its name does not tell.

    `most_book_rows_a_s` is what sampling leaves of a book.
    """
    limits = exchange_of(exchange).limits
    meant = Channel.of(channel)
    rate = limits.expected_a_second(channel, kind)
    is_bound = meant.family in limits.pushed_at_intervals
    if meant.family == TRADE:
        return ExpectedRate(rate, is_bound, {"trades": rate})
    if meant.family == OHLCV:
        minutes = int(meant.interval[:-1]) * MINUTES[meant.interval[-1]]
        return ExpectedRate(rate, is_bound, {"ohlcv": 1 / (60 * minutes)})
    stored = rate if most_book_rows_a_s is None else min(rate, most_book_rows_a_s)
    rows: dict[Table, float] = {"book": stored}
    if deep:
        rows["levels"] = stored
    return ExpectedRate(rate, is_bound, rows)
