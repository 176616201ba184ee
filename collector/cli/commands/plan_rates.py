"""Say how many messages a stream may bring, and how many bytes its rows take.

Bybit and Binance push books at fixed intervals (their websocket pages); what has no interval is what a
busy market was seen to send, and a quiet one sends far less.
"""

from dataclasses import dataclass
from typing import Literal

Table = Literal["book", "levels", "trades", "ohlcv"]

# On SQLite, with indexes, as measured over 100,000 rows; `plan --measure` measures the real ones.
BYTES_A_ROW: dict[Table, float] = {"book": 300.0, "levels": 650.0, "trades": 320.0, "ohlcv": 190.0}

BYBIT_BOOKS = {1: 100.0, 50: 50.0, 200: 10.0, 1000: 5.0}  # every 10, 20, 100, 200 ms
BYBIT_SPOT_BOOKS = {**BYBIT_BOOKS, 200: 5.0}
BINANCE_BOOK = 10.0  # @100ms
BUSY = {"book": 50.0, "binance bbo": 100.0, "bbo": 20.0, "trade": 20.0, "ohlcv": 2.0}
MINUTES = {"m": 1, "h": 60, "d": 1440, "w": 10_080, "M": 43_200}


@dataclass(frozen=True, slots=True)
class Rate:
    """How many messages a second to expect of one stream, at most or in a busy market."""

    messages_a_s: float
    is_bound: bool  # the exchange pushes no faster
    rows_a_s: dict[Table, float]

    @property
    def bytes_a_s(self) -> float:
        """Tell what its rows take."""
        return sum(BYTES_A_ROW[table] * rate for table, rate in self.rows_a_s.items())


def expected(
    exchange: str,
    kind: str | None,
    channel: str,
    *,
    deep: bool,
    most_book_rows_a_s: float | None = None,
) -> Rate:
    """Return what to expect of a stream; `kind` None is a market whose kind its name does not tell.

    `most_book_rows_a_s` is what sampling leaves of a book.
    """
    family, _, rest = channel.partition(".")
    if family == "trade":
        return Rate(BUSY["trade"], is_bound=False, rows_a_s={"trades": BUSY["trade"]})
    if family == "ohlcv":
        bars_a_s = 1 / (60 * int(rest[:-1]) * MINUTES[rest[-1]])
        return Rate(BUSY["ohlcv"], is_bound=False, rows_a_s={"ohlcv": bars_a_s})
    rate, is_bound = _book_rate(exchange, kind, 1 if family == "bbo" else int(rest), family)
    stored = rate if most_book_rows_a_s is None else min(rate, most_book_rows_a_s)
    rows: dict[Table, float] = {"book": stored}
    if deep:
        rows["levels"] = stored
    return Rate(rate, is_bound, rows)


def _book_rate(exchange: str, kind: str | None, depth: int, family: str) -> tuple[float, bool]:
    if exchange == "bybit":
        return (BYBIT_SPOT_BOOKS if kind == "spot" else BYBIT_BOOKS).get(depth, BYBIT_BOOKS[50]), True
    if family == "bbo":
        return BUSY.get(f"{exchange} bbo", BUSY["bbo"]), False
    return (BINANCE_BOOK, True) if exchange == "binance" else (BUSY["book"], False)
