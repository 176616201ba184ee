"""What one simulated exchange is: pure answers to what a client sends, and texts for what happened.

Each exchange is one subclass in a folder of its own, the same methods in the same order. None of them does
I/O or reads a clock: the session and the server around it do.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from collector.simulator.admission import Rule, Verdict
from collector.simulator.dialect import Dialect
from collector.simulator.exchanges.listing import Listing, market_of
from collector.simulator.market import (
    Bar,
    BarsInOutages,
    Change,
    Conventions,
    Instrument,
    Pair,
    SymbolFeed,
    describe,
    pair_of,
)
from collector.simulator.messages import Answer, Connection, Outgoing, Reply, Request, Topic


class Exchange(ABC):
    """A simulated exchange over its feeds, by unified symbol."""

    name: ClassVar[str]
    default_symbols: ClassVar[Sequence[str]]
    dialect: ClassVar[Dialect]
    rest_prefixes: ClassVar[tuple[str, ...]]
    offered_depths: ClassVar[tuple[int, ...]]
    level_pattern: ClassVar[re.Pattern[str]] = re.compile(r'\["(?P<price>[^"]*)","(?P<size>[^"]*)"\]')
    connection_rule: ClassVar[Rule]
    connection_refusal_status: ClassVar[int] = 429
    idle_close: ClassVar[tuple[int, str]] = (1008, "")
    lists_both_kinds: ClassVar[bool] = False  # of each pair a spot market and a perpetual
    repeats_after_ns: ClassVar[int | None] = None
    lifetime_ns: ClassVar[int | None] = None
    # What is answered to a request to subscribe that would be right a moment later.
    busy_words: ClassVar[str]
    # Frames about no stream that anybody asked for.
    stray_frames: ClassVar[Sequence[str]]
    system: str = "online"
    batches_diffs: ClassVar[bool] = False
    limits_by_load: ClassVar[bool] = False
    joins_updates: ClassVar[bool] = False  # several of one market in a frame, now and then
    bars_in_outages: ClassVar[BarsInOutages] = "flat"
    # How busy its markets are, 1.0 on the mean, and how many requests a second a connection may then make.
    load: float = 1.0
    message_capacity: int | None = None

    def __init__(self, feeds: dict[str, SymbolFeed]) -> None:
        self.feeds = feeds
        self.by_name = Listing(feeds.values(), describe=self.instrument, with_siblings=self.lists_both_kinds)

    @classmethod
    def instrument(cls, symbol: str) -> Instrument:
        """Describe a symbol, as `BTC/USDT` (spot) or `BTC/USDT:USDT` (linear perpetual)."""
        pair = pair_of(symbol)
        return describe(cls.name, pair, cls.conventions(pair))

    @classmethod
    @abstractmethod
    def conventions(cls, pair: Pair) -> Conventions:
        """Return how the exchange names a market and writes its numbers."""

    @staticmethod
    def market_of(feed: SymbolFeed) -> str:
        """Return which of the exchange's markets a feed belongs to."""
        return market_of(feed.instrument)

    @abstractmethod
    def market_at(self, path: str) -> str | None:
        """Return the market that a websocket path leads to; None if the path is not this exchange's."""

    @abstractmethod
    def greet(self, connection: Connection, query: Mapping[str, str], now_ns: int) -> list[Reply]:
        """Return what a new connection is sent first."""

    @abstractmethod
    def receive(self, connection: Connection, text: str, now_ns: int) -> list[Reply]:
        """Answer a client's message."""

    @abstractmethod
    def snapshot(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Return what a new subscriber is sent first."""

    @abstractmethod
    def update(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
        """Return what a step sends to the subscribers of a book, best price, trade or ticker topic."""

    @abstractmethod
    def bar(
        self, topic: Topic, feed: SymbolFeed, bar: Bar, now_ms: int, *, confirmed: bool
    ) -> Outgoing | None:
        """Write a bar in its present state."""

    @abstractmethod
    def heartbeat(self, connection: Connection, now_ns: int) -> list[bytes]:
        """Return the frames that keep a connection alive and are due now."""

    @abstractmethod
    def is_idle(self, connection: Connection, now_ns: int, quiet_ns: int) -> bool:
        """Return whether a connection was silent for longer than the exchange allows.

        `now_ns` is the exchange's time; `quiet_ns` is how long, in real time, no frame went either way.
        """

    def repeat(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Return what is sent on a topic on which nothing was sent for `repeats_after_ns`."""
        return self.snapshot(topic, feed, now_ns) if topic.kind == "bbo" else []

    def stream_channel(self, channel: str) -> str:
        """Return the channel by which a channel of the collector is really sent."""
        return channel

    def wrap(self, topic: Topic, text: str) -> str:
        """Put a message in the form that a wrapped connection gets."""
        del topic
        return text

    @abstractmethod
    def rest(self, request: Request, now_ms: int) -> Answer | None:
        """Answer a REST request; None if there is no such path."""

    @abstractmethod
    def reject(self, connection: Connection, text: str, now_ns: int, words: str | None = None) -> list[Reply]:
        """Refuse a request to subscribe, whatever it asks for.

        Without words for good, as if the markets did not exist; with words in one answer for all of it.
        """

    def unchanged(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Return an update that changes nothing."""
        repeated = self.repeat(topic, feed, now_ns)
        if not repeated:
            raise ValueError(f"{self.name} sends no update of {topic.channel} that changes nothing")
        return repeated

    def join(self, first: Outgoing, second: Outgoing) -> Outgoing:
        """Put two messages of a topic into one frame."""
        del first, second
        raise ValueError(f"{self.name} sends one update a frame")

    def shutdown_text(self, now_ms: int) -> str:
        """Announce that the server will soon close the connection, where the exchange does."""
        del now_ms
        raise ValueError(f"{self.name} does not announce that it closes connections")

    def has_placeholders(self, feed: SymbolFeed) -> bool:
        """Return whether some of a market's trades are none, and only take up an id."""
        del feed
        return False

    def placeholder(self, topic: Topic, feed: SymbolFeed, number: int, now_ms: int) -> Outgoing | None:
        """Write a trade that is none, if the topic shows it."""
        del topic, feed, number, now_ms
        return None

    def status_text(self, system: str) -> str:
        """Announce a status of the system, where the exchange has such a message."""
        raise ValueError(f"{self.name} sends no status messages ({system})")

    @abstractmethod
    def rule(self, request: Request) -> tuple[Rule, int]:
        """Return the allowance that a REST request draws on, and its weight."""

    @abstractmethod
    def over_limit(self, verdict: Verdict) -> Answer:
        """Refuse a request that is over the allowance."""

    def used_headers(self, verdict: Verdict) -> dict[str, str]:
        """Write what is used of the allowance as headers."""
        del verdict
        return {}

    @abstractmethod
    def skip_numbers(self, feed: SymbolFeed, channel: str, count: int) -> None:
        """Leave out sequence numbers before the next message of a channel."""

    def restart_numbers(self, feed: SymbolFeed, channel: str) -> bool:
        """Number the next message of a channel from the beginning; returns whether it is a snapshot."""
        feed.numbering(channel).restart(feed.step_count + 1, 1)
        return True
