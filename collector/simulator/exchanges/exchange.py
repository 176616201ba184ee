"""What one simulated exchange is: pure answers to what a client sends, and texts for what happened.

Each exchange is one subclass in a file of its own, the same methods in the same order. None of them does
I/O or reads a clock: the session and the server around it do.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from collector.simulator.faults.admission import Rule, Verdict
from collector.simulator.listing import Listing, market_of
from collector.simulator.market.bars import Bar
from collector.simulator.market.market import Change
from collector.simulator.market.symbol_feed import SymbolFeed
from collector.simulator.market.truth import Kind

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
        """Name the channel as the collector does."""
        if self.kind == "book":
            return f"book.{self.depth}" if self.depth else "book"
        if self.kind == "bar":
            return f"ohlcv.{self.interval}"
        return self.kind


class Outgoing(NamedTuple):
    """A message about a topic."""

    text: str
    kind: Kind
    sequence: int | None


class Reply(NamedTuple):
    """An answer to a client's message, and what it did to the subscriptions."""

    text: str | None
    subscribe: tuple[Topic, ...] = ()
    unsubscribe: tuple[Topic, ...] = ()
    close_code: int | None = None


@dataclass(slots=True)
class Connection:
    """One websocket connection, as an exchange sees it."""

    number: int
    exchange: str
    path: str
    market: str
    wrapped: bool
    name: str
    opened_ns: int
    topics: dict[str, Topic] = field(default_factory=dict)
    last_client_ns: int = 0
    last_sent_ns: int = 0
    last_beat_ns: int = 0
    last_pong_ns: int = 0
    recent_ns: list[int] = field(default_factory=list)


class Request(NamedTuple):
    """A REST request."""

    path: str
    query: Mapping[str, str]


class Answer(NamedTuple):
    """A REST answer."""

    body: str
    status: int = 200
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"


class Exchange(ABC):
    """A simulated exchange over its feeds, by unified symbol."""

    name: ClassVar[str]
    rest_prefixes: ClassVar[tuple[str, ...]]
    offered_depths: ClassVar[tuple[int, ...]]
    level_pattern: ClassVar[re.Pattern[str]] = re.compile(r'\["(?P<price>[^"]*)","(?P<size>[^"]*)"\]')
    connection_rule: ClassVar[Rule]
    connection_refusal_status: ClassVar[int] = 429
    lists_both_kinds: ClassVar[bool] = False  # of each pair a spot market and a perpetual
    repeats_best_after_ns: ClassVar[int | None] = None
    lifetime_ns: ClassVar[int | None] = None

    def __init__(self, feeds: dict[str, SymbolFeed]) -> None:
        self.feeds = feeds
        self.by_name = Listing(feeds.values(), with_siblings=self.lists_both_kinds)

    @staticmethod
    def market_of(feed: SymbolFeed) -> str:
        """Tell which of the exchange's markets a feed belongs to."""
        return market_of(feed.instrument)

    @abstractmethod
    def market_at(self, path: str) -> str | None:
        """Tell which market a websocket path leads to; None if the path is not this exchange's."""

    @abstractmethod
    def greet(self, connection: Connection, query: Mapping[str, str], now_ns: int) -> list[Reply]:
        """Say what a new connection hears first."""

    @abstractmethod
    def receive(self, connection: Connection, text: str, now_ns: int) -> list[Reply]:
        """Answer a client's message."""

    @abstractmethod
    def snapshot(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Say what a new subscriber hears first."""

    @abstractmethod
    def update(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
        """Say what a step means to the subscribers of a book, best price, trade or ticker topic."""

    @abstractmethod
    def bar(
        self, topic: Topic, feed: SymbolFeed, bar: Bar, now_ms: int, *, confirmed: bool
    ) -> Outgoing | None:
        """Say how a bar stands."""

    @abstractmethod
    def heartbeat(self, connection: Connection, now_ns: int) -> list[bytes]:
        """Give the frames that keep a connection alive and are due now."""

    @abstractmethod
    def is_idle(self, connection: Connection, now_ns: int) -> bool:
        """Tell whether a client has been silent for longer than the exchange bears."""

    def stream_channel(self, channel: str) -> str:
        """Name the channel by which a channel of the collector is really sent."""
        return channel

    def wrap(self, topic: Topic, text: str) -> str:
        """Put a message in the form that a wrapped connection gets."""
        del topic
        return text

    @abstractmethod
    def rest(self, request: Request, now_ms: int) -> Answer | None:
        """Answer a REST request; None if there is no such path."""

    @abstractmethod
    def reject(self, connection: Connection, text: str, now_ns: int) -> list[Reply]:
        """Refuse a request to subscribe, whatever it asks for."""

    def status_text(self, system: str) -> str:
        """Announce a status of the system, where the exchange has such a message."""
        raise ValueError(f"{self.name} sends no status messages ({system})")

    @abstractmethod
    def rule(self, request: Request) -> tuple[Rule, int]:
        """Tell which allowance a REST request draws on, and its weight."""

    @abstractmethod
    def over_limit(self, verdict: Verdict) -> Answer:
        """Refuse a request that is over the allowance."""

    def used_headers(self, verdict: Verdict) -> dict[str, str]:
        """Tell in headers what is used of the allowance."""
        del verdict
        return {}

    @abstractmethod
    def skip_numbers(self, feed: SymbolFeed, channel: str, count: int) -> None:
        """Leave out sequence numbers before the next message of a channel."""
