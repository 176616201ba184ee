"""Define a tick: one trade of a market, whatever exchange or program it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Self

import msgspec

from collector.bot.symbol_names import begins_with
from collector.errors import TickError
from collector.events import Trade

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS_FROM = 10**14  # a time from here on is in microseconds: in milliseconds it is the year 5138
LATEST_US = 4_102_444_800 * 10**6  # 2100
IDS = {"trade": "t", "aggTrade": "a"}  # by the type of a message of Binance: the key of the trade's id
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
        message = _message(data)
        key = _id_key(message)
        if "s" in message and not begins_with(str(message["s"]), symbol):
            raise TickError(f"s: found a message of {_shown(message['s'])}, expected one of {symbol}")
        return cls(
            symbol,
            _number(message, "p"),
            _number(message, "q"),
            _time(message.get("T", message.get("E"))),
            _trade_id(message, key),
            "binance",
        )


def _message(data: object) -> Mapping[str, Any]:
    if isinstance(data, str | bytes):
        try:
            data = msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise TickError(f"found {_shown(data)}, expected a message in JSON: {error}") from error
    if isinstance(data, Mapping) and isinstance(data.get("data"), Mapping):
        data = data["data"]  # a combined stream's envelope
    if not isinstance(data, Mapping):
        raise TickError(f"found {_shown(data)}, expected a message of Binance, like {{'e': 'trade', ...}}")
    return data


def _id_key(message: Mapping[str, Any]) -> str:
    """Return the key of the id: `a` of an old trade message is the id of an order."""
    kind = message.get("e", "trade" if "t" in message else "aggTrade")
    if not isinstance(kind, str) or kind not in IDS:
        raise TickError(f"e: found {_shown(kind)}, expected a message of type {' or '.join(IDS)}")
    return IDS[kind]


def _trade_id(message: Mapping[str, Any], key: str) -> str:
    found = message.get(key)
    if isinstance(found, bool) or not isinstance(found, int | str) or found == "":
        raise TickError(f"{key}: found {_shown(found)}, expected the id of a trade")
    return str(found)


def _number(message: Mapping[str, Any], key: str) -> float:
    found = message.get(key)
    try:
        number = float(found) if isinstance(found, str | int | float) else float("nan")
    except (ValueError, OverflowError):
        number = float("nan")
    if isinstance(found, bool) or not isfinite(number) or number <= 0:
        raise TickError(f"{key}: found {_shown(found)}, expected a number above 0")
    return number


def _time(found: object) -> datetime:
    if isinstance(found, int) and not isinstance(found, bool) and found > 0:
        at_us = found if found >= MICROSECONDS_FROM else found * 1000
        if at_us < LATEST_US:
            return EPOCH + timedelta(microseconds=at_us)
    raise TickError(f"T: found {_shown(found)}, expected the time in milliseconds since 1970")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
