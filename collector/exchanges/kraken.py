"""Collect from Kraken's spot market, websocket v2: requests, and the names under which the rest is found.

https://docs.kraken.com/api/docs/guides/spot-ws-intro. Every symbol of a request is answered by itself.
"""

from collections.abc import Sequence

from collector.exchanges.kraken_frames import read_frame
from collector.exchanges.kraken_instruments import Precision, read_instruments
from collector.exchanges.kraken_rules import Checksum
from collector.exchanges.kraken_topics import MINUTES, number, route, split, topic

__all__ = [
    "Checksum",
    "Precision",
    "group",
    "ping",
    "read_frame",
    "read_instruments",
    "route",
    "subscribe",
    "topic",
    "unsubscribe",
]


def group(topics: Sequence[str]) -> list[list[str]]:
    """Put together what one request can ask for: many symbols of one channel, depth or interval."""
    groups: dict[str, list[str]] = {}
    for each in topics:
        groups.setdefault(split(each)[0], []).append(each)
    return list(groups.values())


def subscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Make the request that asks for topics of one channel. Raises ValueError when there are several."""
    # Snapshots of trades and bars (the last 50, the last bars) reach over the hole of a short disconnect.
    return _request("subscribe", topics, request_id, {"snapshot": True})


def unsubscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Make the request that ends topics of one channel. Raises ValueError when there are several."""
    return _request("unsubscribe", topics, request_id, {})


def ping(request_id: str) -> dict[str, object]:
    """Make the request that a living connection answers."""
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
    family, _, detail = channel.partition(".")
    if family == "book":
        return {"channel": "book", "depth": int(detail)}
    if family == "ohlcv":
        return {"channel": "ohlc", "interval": MINUTES[detail]}
    if family == "bbo":
        return {"channel": "ticker", "event_trigger": "bbo"}
    return {"channel": family}
