"""Build OKX v5's topics and requests. https://www.okx.com/docs-v5/en/#overview-websocket.

A topic is `<OKX's channel>:<instrument>`: `books:BTC-USDT`, `candle1H:BTC-USDT-SWAP`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from collector.events.channel import OHLCV, TRADE, Channel

# Bars of six hours and more begin with the day of UTC where the code says so; else with Hong Kong's.
CODES: Mapping[str, str] = MappingProxyType(
    {interval: interval for interval in ("1m", "3m", "5m", "15m", "30m")}
    | {"1h": "1H", "2h": "2H", "4h": "4H", "6h": "6Hutc", "12h": "12Hutc"}
    | {"1d": "1Dutc", "1w": "1Wutc", "1M": "1Mutc"}
)
INTERVALS: Mapping[str, str] = MappingProxyType({code: interval for interval, code in CODES.items()})
BOOK = "books"  # its checksum is 0 since June 2026: ids alone prove it
BOOKS: Mapping[str, str] = MappingProxyType(
    {"bbo": "bbo-tbt", "book.1": "bbo-tbt", "book.5": "books5", "book.400": BOOK}
)
CANDLE = "candle"


def topic(market_id: str, symbol: str, channel: str) -> str:
    """Return the topic of a channel of a market."""
    del symbol
    meant = Channel.of(channel)
    if channel in BOOKS:
        return f"{BOOKS[channel]}:{market_id}"
    if channel == TRADE:
        return f"trades:{market_id}"
    if meant.family == OHLCV and meant.interval in CODES:
        return f"{CANDLE}{CODES[meant.interval]}:{market_id}"
    raise ValueError(
        f"{channel} is no channel of OKX: {', '.join(BOOKS)}, trade or ohlcv.<interval> expected"
    )


def request(operation: str, topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Build the request that subscribes topics, or unsubscribes them."""
    arguments = [dict(zip(("channel", "instId"), each.split(":"), strict=True)) for each in topics]
    return {"id": request_id, "op": operation, "args": arguments}
