"""Collect from Binance, spot and USD-M: topics, requests, and the books of its REST.

A topic is the stream's name without its speed, which no frame tells: `btcusdt@depth`. Spot and USD-M have
sockets of their own, so a topic names one market on its connection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from collector.exchanges.binance_frames import read_frame, read_snapshot
from collector.exchanges.binance_rules import SpotContinuity, UsdmContinuity
from collector.exchanges.venues import Kind

__all__ = [
    "SNAPSHOT_DEPTHS",
    "SNAPSHOT_WEIGHTS",
    "SnapshotRequest",
    "SpotContinuity",
    "UsdmContinuity",
    "continuity",
    "ping",
    "read_frame",
    "read_snapshot",
    "route",
    "snapshot_request",
    "subscribe",
    "topic",
    "unsubscribe",
]

# https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#order-book and
# https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Order-Book
SNAPSHOT_DEPTHS: Mapping[Kind, Sequence[int]] = MappingProxyType(
    {"spot": range(1, 5001), "linear": (5, 10, 20, 50, 100, 500, 1000)}
)
# (levels at most, request weight)
SNAPSHOT_WEIGHTS: Mapping[Kind, Sequence[tuple[int, int]]] = MappingProxyType(
    {
        "spot": ((100, 5), (500, 25), (1000, 50), (5000, 250)),
        "linear": ((50, 2), (100, 5), (500, 10), (1000, 20)),
    }
)
_SNAPSHOT_PATHS: Mapping[Kind, str] = MappingProxyType({"spot": "/api/v3/depth", "linear": "/fapi/v1/depth"})

ping = None  # no request: a ping frame of the websocket itself is answered, by either side, with a pong frame

_DEPTH = "@depth"
_DEPTH_SPEED = "@100ms"  # the fastest that spot documents; unnamed, spot means 1000 ms and USD-M 250 ms


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What to ask of REST for a book, and its weight in the minute's allowance."""

    path: str
    params: Mapping[str, str]
    weight: int


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


def route(topic: str) -> str:
    """Return what a frame of a topic is known by: the topic itself."""
    return topic


def continuity(kind: Kind, depth: int) -> SpotContinuity | UsdmContinuity:
    """Make the integrity rule of a book. Every depth has the same: the diffs are of the whole book."""
    del depth
    return SpotContinuity() if kind == "spot" else UsdmContinuity()


def subscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Make the request that asks for topics."""
    return _request("SUBSCRIBE", topics, request_id)


def unsubscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Make the request that ends topics."""
    return _request("UNSUBSCRIBE", topics, request_id)


def snapshot_request(market_id: str, kind: Kind, depth: int) -> SnapshotRequest:
    """Describe the request for a book that holds `depth` levels a side."""
    for limit in SNAPSHOT_DEPTHS[kind]:
        if limit >= depth:
            break
    else:
        raise ValueError(f"{depth} levels: at most {SNAPSHOT_DEPTHS[kind][-1]} expected of {kind}")
    weight = next(weight for most, weight in SNAPSHOT_WEIGHTS[kind] if limit <= most)
    params = {"symbol": market_id, "limit": str(limit)}
    return SnapshotRequest(_SNAPSHOT_PATHS[kind], params, weight)


def _request(method: str, topics: Sequence[str], request_id: str) -> dict[str, object]:
    # USD-M takes whole numbers only for an id.
    return {"method": method, "params": [_wire(each) for each in topics], "id": int(request_id)}


def _wire(topic: str) -> str:
    """Name the stream that brings a topic."""
    return f"{topic}{_DEPTH_SPEED}" if topic.endswith(_DEPTH) else topic
