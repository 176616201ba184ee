"""Build Bybit v5's topics and requests. https://bybit-exchange.github.io/docs/v5/ws/connect."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from collector.events import OHLCV, TRADE, Channel

TOP_OF_BOOK_DEPTH = 1
# https://bybit-exchange.github.io/docs/v5/enum#interval: minutes, or a letter.
CODES: Mapping[str, str] = MappingProxyType(
    {
        "1m": "1",
        "3m": "3",
        "5m": "5",
        "15m": "15",
        "30m": "30",
        "1h": "60",
        "2h": "120",
        "4h": "240",
        "6h": "360",
        "12h": "720",
        "1d": "D",
        "1w": "W",
        "1M": "M",
    }
)
INTERVALS: Mapping[str, str] = MappingProxyType({code: interval for interval, code in CODES.items()})


def topic(market_id: str, symbol: str, channel: str) -> str:
    """Return the topic of a channel of a market; the best bid and ask are its order book at depth 1."""
    del symbol
    meant = Channel.of(channel)
    if meant.is_book and meant.is_well_formed:
        return f"orderbook.{meant.depth}.{market_id}"
    if meant.family == OHLCV and meant.interval in CODES:
        return f"kline.{CODES[meant.interval]}.{market_id}"
    if channel == TRADE:
        return f"publicTrade.{market_id}"
    raise ValueError(
        f"{channel} is no channel of Bybit: book.<depth>, bbo, trade or ohlcv.<interval> expected"
    )


def subscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Build the request that subscribes topics."""
    return {"op": "subscribe", "req_id": request_id, "args": list(topics)}


def unsubscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Build the request that unsubscribes topics."""
    return {"op": "unsubscribe", "req_id": request_id, "args": list(topics)}


def ping(request_id: str) -> dict[str, object]:
    """Build the ping request."""
    return {"op": "ping", "req_id": request_id}
