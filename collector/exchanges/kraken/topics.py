"""Build the topics and requests of Kraken's spot market, websocket v2.

A topic is `<channel>:<Kraken's name of the market>`: `book.25:BTC/USD`, `trade:BTC/USD`, `bbo:BTC/USD`,
`ohlcv.1m:BTC/USD`. Every symbol of a request is answered by itself:
https://docs.kraken.com/api/docs/guides/spot-ws-intro.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from collector.events import BBO, BOOK, OHLCV, TRADE, Channel

DEPTHS = (10, 25, 100, 500, 1000)  # https://docs.kraken.com/api/docs/websocket-v2/book
# https://docs.kraken.com/api/docs/websocket-v2/ohlc; ccxt calls the longest, of 15 days, `2w`.
INTERVALS: Mapping[int, str] = MappingProxyType(
    {1: "1m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 240: "4h", 1440: "1d", 10080: "1w", 21600: "15d"}
)
MINUTES: Mapping[str, int] = MappingProxyType({name: minutes for minutes, name in INTERVALS.items()})
CHANNELS: tuple[str, ...] = (
    *(f"book.{depth}" for depth in DEPTHS),
    BBO,
    TRADE,
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
    """Return the topic of a channel of a market."""
    del market_id  # the ids of REST, such as XXBTZUSD, are not known here
    if channel not in CHANNELS:
        raise ValueError(f"{channel} is no channel of Kraken: one of {', '.join(CHANNELS)} expected")
    currencies = [WIRE_CURRENCIES.get(currency, currency) for currency in symbol.split("/")]
    return name(channel, "/".join(currencies))


def route(topic: str) -> str:
    """Return what routes a topic's frames: a book's frame does not have the subscribed depth."""
    channel, market = split(topic)
    return name(BOOK, market) if Channel.of(channel).family == BOOK else topic


def one_a_connection(topic: str) -> str:
    """Return what a connection takes once only: bars of one interval a market, its book at one depth.

    A second interval is answered `Already subscribed to one ohlc interval on this symbol`.
    """
    channel, market = split(topic)
    return name(Channel.of(channel).family, market)


def name(channel: str, market: str) -> str:
    """Join a topic from its parts."""
    return f"{channel}:{market}"


def split(topic: str) -> tuple[str, str]:
    """Split a topic: channel, market."""
    channel, _, market = topic.partition(":")
    return channel, market


def number(request_id: str, channel: str) -> int:
    """Build the number that goes with a request."""
    return int(request_id) * _CHANNEL_NUMBERS + CHANNELS.index(channel)


def asked(number: int) -> tuple[str, str | None]:
    """Read the number that comes back: the request's id and the channel."""
    request_id, place = divmod(number, _CHANNEL_NUMBERS)
    return str(request_id), CHANNELS[place] if place < len(CHANNELS) else None


def requests(topics: Sequence[str]) -> list[list[str]]:
    """Group topics by request: many symbols of one channel, depth or interval."""
    groups: dict[str, list[str]] = {}
    for each in topics:
        groups.setdefault(split(each)[0], []).append(each)
    return list(groups.values())


def subscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Build the request that subscribes topics of one channel. Raises ValueError when there are several."""
    # Snapshots of trades and bars (the last 50, the last bars) reach over the hole of a short disconnect.
    return _request("subscribe", topics, request_id, {"snapshot": True})


def unsubscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Build the request that unsubscribes topics of one channel. Raises ValueError when there are several."""
    return _request("unsubscribe", topics, request_id, {})


def ping(request_id: str) -> dict[str, object]:
    """Build the ping request."""
    return {"method": "ping", "req_id": int(request_id)}


def _request(
    method: str, topics: Sequence[str], request_id: str, more: dict[str, object]
) -> dict[str, object]:
    channels = {split(each)[0] for each in topics}
    if len(channels) != 1:
        raise ValueError(f"topics of one channel expected in a request, found {sorted(channels)}")
    channel = channels.pop()
    markets = [split(each)[1] for each in topics]
    params = {**_wire_channel(channel), "symbol": markets, **more}
    return {"method": method, "params": params, "req_id": number(request_id, channel)}


def _wire_channel(channel: str) -> dict[str, object]:
    meant = Channel.of(channel)
    if meant.family == BOOK:
        return {"channel": "book", "depth": meant.depth}
    if meant.family == OHLCV:
        return {"channel": "ohlc", "interval": MINUTES[meant.interval]}
    if meant.family == BBO:
        return {"channel": "ticker", "event_trigger": "bbo"}
    return {"channel": "trade"}
