"""Name what is collected from Binance, spot and USD-M, and ask for it.

A topic is the stream's name without its speed, which no frame tells: `btcusdt@depth`. Spot and USD-M have
sockets of their own, so a topic names one market on its connection.
"""

from collections.abc import Sequence

_DEPTH = "@depth"
_DEPTH_SPEED = "@100ms"  # the fastest that spot documents; unnamed, spot means 1000 ms and USD-M 250 ms


def topic(market_id: str, symbol: str, channel: str) -> str:
    """Name what the frames of one channel of a market are routed by; books of every depth are one."""
    del symbol  # frames name markets by the exchange's id
    name = market_id.lower()
    family, _, detail = channel.partition(".")
    if family == "book" and detail.isdecimal():
        return f"{name}{_DEPTH}"
    if family == "ohlcv" and detail:
        return f"{name}@kline_{detail}"
    if channel == "bbo":
        return f"{name}@bookTicker"
    if channel == "trade":
        return f"{name}@trade"
    raise ValueError(
        f"{channel} is no channel of Binance: book.<depth>, bbo, trade or ohlcv.<interval> expected"
    )


def subscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Make the request that asks for topics."""
    return _request("SUBSCRIBE", topics, request_id)


def unsubscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Make the request that ends topics."""
    return _request("UNSUBSCRIBE", topics, request_id)


def _request(method: str, topics: Sequence[str], request_id: str) -> dict[str, object]:
    # USD-M takes whole numbers only for an id.
    return {"method": method, "params": [_wire(each) for each in topics], "id": int(request_id)}


def _wire(topic: str) -> str:
    """Name the stream that brings a topic."""
    return f"{topic}{_DEPTH_SPEED}" if topic.endswith(_DEPTH) else topic
