"""Define a tick: one trade of a market, whatever exchange or program it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import msgspec

from collector.bot.symbol_names import begins_with
from collector.errors import FrameError, TickError
from collector.events import Trade
from collector.exchanges import BINANCE, read_binance_trade

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Tick:
    """A trade: its market, price, quantity, time and id. Raises TickError for what no trade can be."""

    symbol: str
    price: float
    quantity: float
    timestamp: datetime  # UTC
    trade_id: str
    exchange: str = ""  # where it is known

    def __post_init__(self) -> None:
        if not (isinstance(self.symbol, str) and self.symbol):
            raise TickError(f"symbol: found {_shown(self.symbol)}, expected the name of a market")
        for name in ("price", "quantity"):
            number = getattr(self, name)
            if (
                isinstance(number, bool)
                or not isinstance(number, int | float)
                or not 0 < number < float("inf")
            ):
                raise TickError(f"{name}: found {_shown(number)}, expected a number above 0")
        if not isinstance(self.timestamp, datetime) or self.timestamp.utcoffset() is None:
            found = _shown(self.timestamp)
            raise TickError(f"timestamp: found {found}, expected a datetime with a time zone, like UTC")
        if self.timestamp.tzinfo is not UTC:
            object.__setattr__(self, "timestamp", self.timestamp.astimezone(UTC))

    @classmethod
    def from_trade(cls, trade: Trade) -> Self:
        """Build from a trade event of any exchange; its time is the exchange's, or that of receipt."""
        at = trade.exchange_time or trade.received_at
        return cls(trade.symbol, trade.price, trade.size, at, trade.trade_id, trade.exchange)

    @classmethod
    def from_binance_message(cls, symbol: str, data: Mapping[str, Any] | str | bytes) -> Self:
        """Build from a raw `trade` or `aggTrade` message of Binance, also within a combined stream.

        Raises TickError for anything else, and for a message of another market.
        """
        try:
            trade = read_binance_trade(data)
            trade_id, at = trade.trade_id, EPOCH + timedelta(microseconds=trade.time_us)
        except (msgspec.MsgspecError, FrameError, RecursionError, UnicodeError) as error:
            raise TickError(f"found {_shown(data)}, expected a trade or aggTrade message: {error}") from error
        if trade.symbol is not None and not begins_with(trade.symbol, symbol):
            raise TickError(f"symbol: found a message of {_shown(trade.symbol)}, expected one of {symbol}")
        return cls(symbol, trade.price, trade.size, at, trade_id, BINANCE.name)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
