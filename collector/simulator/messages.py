"""The values that pass between exchanges, sessions, hub and server."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from collector.simulator.market import Kind

TopicKind = Literal["book", "bbo", "trade", "bar", "ticker", "other"]


class Topic(NamedTuple):
    """One thing that can be subscribed to. `wire` is the exchange's name for it, `market` spot or linear."""

    exchange: str
    market: str
    symbol: str
    kind: TopicKind
    wire: str
    depth: int = 0
    interval: str = ""

    @property
    def channel(self) -> str:
        """The channel under the collector's name."""
        if self.kind == "book":
            return f"book.{self.depth}" if self.depth else "book"
        if self.kind == "bar":
            return f"ohlcv.{self.interval}"
        return self.kind


class Outgoing(NamedTuple):
    """A message about a topic; `events` counts the updates, trades or bars in it.

    `times_us` is the exchange's time of each update, where updates have no number (Kraken's books).
    """

    text: str
    kind: Kind
    sequence: int | None
    events: int = 1
    times_us: tuple[int, ...] = ()


class Reply(NamedTuple):
    """An answer to a client's message, and what it did to the subscriptions."""

    text: str | None
    subscribe: tuple[Topic, ...] = ()
    unsubscribe: tuple[Topic, ...] = ()
    close_code: int | None = None


@dataclass(slots=True)
class Connection:
    """One websocket connection, as an exchange sees it; times are of the exchange's clock.

    But `last_traffic_ns` is monotonic: of the last frame in either direction.
    """

    number: int
    exchange: str
    path: str
    market: str
    wrapped: bool
    name: str
    opened_ns: int
    topics: dict[str, Topic] = field(default_factory=dict)
    last_client_ns: int = 0
    last_traffic_ns: int = 0
    last_beat_ns: int = 0
    last_pong_ns: int = 0
    recent_ns: list[int] = field(default_factory=list)


class Request(NamedTuple):
    """A REST request."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = {}


class Answer(NamedTuple):
    """A REST answer."""

    body: str
    status: int = 200
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"


def compact_json(value: object) -> str:
    """Write JSON without blanks, as the exchanges do."""
    return json.dumps(value, separators=(",", ":"))
