"""Name Kraken's channels, markets and requests.

A topic is `<channel>:<Kraken's name of the market>`: `book.25:BTC/USD`, `trade:BTC/USD`, `bbo:BTC/USD`,
`ohlcv.1m:BTC/USD`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from collector.exchanges.venues import VENUES

# https://docs.kraken.com/api/docs/websocket-v2/ohlc
INTERVALS: Mapping[int, str] = MappingProxyType(
    {1: "1m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 240: "4h", 1440: "1d", 10080: "1w"}
)
MINUTES: Mapping[str, int] = MappingProxyType({name: minutes for minutes, name in INTERVALS.items()})
CHANNELS: tuple[str, ...] = (
    *(f"book.{depth}" for depth in VENUES["kraken"].depths["spot"]),
    "bbo",
    "trade",
    *(f"ohlcv.{interval}" for interval in MINUTES),
)
# ccxt renames currencies: its LUNA/USD is Kraken's LUNA2/USD, while Kraken's LUNA/USD is another coin.
WIRE_CURRENCIES: Mapping[str, str] = MappingProxyType(
    {"LUNC": "LUNA", "LUNA": "LUNA2", "REP": "REPV2", "REPV1": "REP", "USTC": "UST"}
)

# A refusal tells its symbol but not its channel, so the number sent with a request tells both: the request's
# own id, and below it the channel's place in CHANNELS. https://docs.kraken.com/api/docs/websocket-v2/book
_CHANNEL_NUMBERS = 100


def topic(market_id: str, symbol: str, channel: str) -> str:
    """Name a channel of a market."""
    del market_id  # the ids of REST, such as XXBTZUSD, are not known here
    if channel not in CHANNELS:
        raise ValueError(f"{channel} is no channel of Kraken: one of {', '.join(CHANNELS)} expected")
    currencies = [WIRE_CURRENCIES.get(currency, currency) for currency in symbol.split("/")]
    return name(channel, "/".join(currencies))


def route(topic: str) -> str:
    """Return what a frame of a topic is known by: a frame of a book does not tell the subscribed depth."""
    channel, market = split(topic)
    return name(channel.partition(".")[0], market) if channel.startswith("book.") else topic


def name(channel: str, market: str) -> str:
    """Put a topic together."""
    return f"{channel}:{market}"


def split(topic: str) -> tuple[str, str]:
    """Take a topic apart: channel, market."""
    channel, _, market = topic.partition(":")
    return channel, market


def number(request_id: str, channel: str) -> int:
    """Make the number that goes with a request."""
    return int(request_id) * _CHANNEL_NUMBERS + CHANNELS.index(channel)


def asked(number: int) -> tuple[str, str | None]:
    """Read the number that comes back: the request's id and the channel."""
    request_id, place = divmod(number, _CHANNEL_NUMBERS)
    return str(request_id), CHANNELS[place] if place < len(CHANNELS) else None
