"""Build Binance's topics and requests, spot and USD-M.

A topic is the stream's name without its speed, which no frame tells: `btcusdt@depth`. Spot and USD-M have
sockets of their own, so a topic names one market on its connection.
"""

from collections.abc import Sequence

from collector.events.channel import BBO, BOOK, OHLCV, TRADE, Channel

_DEPTH = "@depth"
_DEPTH_SPEED = "@100ms"  # the fastest that spot documents; unnamed, spot means 1000 ms and USD-M 250 ms


def topic(market_id: str, symbol: str, channel: str) -> str:
    """Return the topic of a channel of a market; books of every depth share one."""
    del symbol  # frames name markets by the exchange's id
    name = market_id.lower()
    meant = Channel.of(channel)
    if meant.family == BOOK and meant.is_well_formed:
        return f"{name}{_DEPTH}"
    if meant.family == OHLCV and meant.is_well_formed:
        return f"{name}@kline_{meant.interval}"
    if channel == BBO:
        return f"{name}@bookTicker"
    if channel == TRADE:
        return f"{name}@trade"
    raise ValueError(
        f"{channel} is no channel of Binance: book.<depth>, bbo, trade or ohlcv.<interval> expected"
    )


def subscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Build the request that subscribes topics."""
    return _request("SUBSCRIBE", topics, request_id)


def unsubscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Build the request that unsubscribes topics."""
    return _request("UNSUBSCRIBE", topics, request_id)


def _request(method: str, topics: Sequence[str], request_id: str) -> dict[str, object]:
    # USD-M takes whole numbers only for an id.
    return {"method": method, "params": [_wire(each) for each in topics], "id": int(request_id)}


def _wire(topic: str) -> str:
    """Return the name of the stream that brings a topic."""
    return f"{topic}{_DEPTH_SPEED}" if topic.endswith(_DEPTH) else topic
