"""The topics of Kraken's channels, as a request's parameters name them."""

from collections.abc import Mapping
from typing import Any

from collector.simulator.exchanges.kraken.rest import INTERVALS
from collector.simulator.market import SymbolFeed
from collector.simulator.messages import Topic, TopicKind

DEPTHS = (10, 25, 100, 500, 1000)
_DEFAULT_DEPTH = 10


def topic_of(parameters: Mapping[str, Any], feed: SymbolFeed) -> tuple[Topic, dict[str, Any]]:
    """Return the topic and the result that confirms it; raise ValueError with what is wrong."""
    channel, symbol = parameters.get("channel"), feed.symbol

    def topic(kind: TopicKind, wire: str, depth: int = 0, interval: str = "") -> Topic:
        return Topic(feed.exchange, "spot", symbol, kind, f"{wire}:{symbol}", depth, interval)

    def confirmed(**more: Any) -> dict[str, Any]:
        return {"channel": channel, **more, "snapshot": True, "symbol": symbol}

    if channel == "book":
        depth = parameters.get("depth", _DEFAULT_DEPTH)
        if depth not in DEPTHS:
            raise ValueError("Subscription depth not supported")
        return topic("book", f"book-{depth}", depth), confirmed(depth=depth)
    if channel == "ohlc":
        minutes = parameters.get("interval", 1)
        if minutes not in INTERVALS:
            raise ValueError("Subscription ohlc interval not supported")
        warnings = ["timestamp is deprecated, use interval_begin"]
        bars = topic("bar", f"ohlc-{minutes}", interval=INTERVALS[minutes])
        return bars, confirmed(interval=minutes) | {"warnings": warnings}
    if channel == "ticker":
        trigger = parameters.get("event_trigger", "trades")
        kind: TopicKind = "bbo" if trigger == "bbo" else "ticker"
        return topic(kind, f"ticker-{trigger}"), confirmed(event_trigger=trigger)
    if channel != "trade":
        raise ValueError(f"Channel not supported: {channel}")
    return topic("trade", "trade"), confirmed()
