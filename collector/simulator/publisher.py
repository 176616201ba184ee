"""Steps of the markets, made into messages and sent to their subscribers."""

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from collector.simulator.exchanges import Exchange
from collector.simulator.hub import Hub, Listener, Rendered
from collector.simulator.market import INTERVALS_MS, Bar, Change, SymbolFeed, bars_between, roll
from collector.simulator.messages import Outgoing, Topic

if TYPE_CHECKING:
    from collector.simulator.recordings import Replay


class Ahead(NamedTuple):
    """Frames made ahead, step by step, and who will receive them."""

    steps: list[list[Rendered]]
    listeners: dict[Topic, list[Listener]]


class Publisher:
    """Moves the markets and publishes what came of it, but for those in whose place a recording is played."""

    def __init__(
        self,
        hub: Hub,
        feeds: Mapping[tuple[str, str], SymbolFeed],
        lock: threading.RLock,
        clock_ns: Callable[[str], int],
    ) -> None:
        self._hub = hub
        self._feeds = feeds
        self._lock = lock
        self._clock_ns = clock_ns
        self._open_bars: dict[Topic, Bar] = {}
        self.replays: dict[tuple[str, str], Replay] = {}

    def subscribe(self, listener: Listener, topic: Topic) -> None:
        """Send a new subscriber the present state, then all that follows."""
        with self._lock:
            feed = self._feeds[topic.exchange, topic.symbol]
            feed.catch_up()
            if topic.kind == "bar":
                now_ms = feed.now_ms
                self._open_bars[topic] = bars_between(feed, INTERVALS_MS[topic.interval], now_ms, now_ms)[-1]
            replay = self.replays.get((topic.exchange, topic.symbol))
            if replay is None:
                snapshot = listener.exchange.snapshot(topic, feed, self._clock_ns(feed.exchange))
            else:
                snapshot = replay.snapshot(topic)
            self._hub.send_to(listener, topic, snapshot)
            self._hub.subscribe(listener, topic)

    def step(self, feed: SymbolFeed, exchange: Exchange) -> None:
        """Take one market's next step and send it to its subscribers."""
        if not self._is_live(feed):
            return
        with self._lock:
            for topic, messages in self._next_messages(feed, exchange):
                self._hub.publish(topic, messages)

    def send_unchanged(self, feed: SymbolFeed, exchange: Exchange, channel: str) -> None:
        """Send an update that changes nothing to the subscribers of a channel."""
        with self._lock:
            feed.catch_up()
            for topic in list(self._hub.topics(feed.exchange, feed.symbol)):
                if topic.channel == channel:
                    now_ns = self._clock_ns(feed.exchange)
                    self._hub.publish(topic, exchange.unchanged(topic, feed, now_ns))

    def step_in_one_frame(self, feed: SymbolFeed, exchange: Exchange, channel: str) -> None:
        """Take two steps; what they send on a channel goes out in one frame."""
        with self._lock:
            steps = [self._next_messages(feed, exchange) for _ in range(2)]
            for (topic, first), (_, second) in zip(*steps, strict=True):
                messages = first + second
                if topic.channel == channel and len(messages) > 1:
                    messages = [reduce(exchange.join, messages)]
                self._hub.publish(topic, messages)

    def send_placeholder(self, feed: SymbolFeed, exchange: Exchange) -> None:
        """Let an id of the market's trades be taken by what is none."""
        if not exchange.has_placeholders(feed) or not self._is_live(feed):
            return
        with self._lock:
            feed.catch_up()
            number, now_ms = feed.skip_trade_id(), self._clock_ns(feed.exchange) // 1_000_000
            for topic in self._hub.followed(feed.exchange, feed.symbol):
                message = exchange.placeholder(topic, feed, number, now_ms) if topic.kind == "trade" else None
                if message is not None:
                    self._hub.publish(topic, [message])

    def channels(self, feed: SymbolFeed, kinds: set[str]) -> list[str]:
        """List a market's channels of some kinds that have subscribers."""
        topics = self._hub.topics(feed.exchange, feed.symbol)
        return sorted({topic.channel for topic in topics if topic.kind in kinds})

    def make_ahead(self, feed: SymbolFeed, exchange: Exchange, steps: int) -> Ahead:
        """Take steps of a market whose frames are sent later, to those who are subscribed now."""
        with self._lock:
            listeners = {
                topic: self._hub.listeners(topic) for topic in self._hub.topics(feed.exchange, feed.symbol)
            }
            frames = [
                [
                    rendered
                    for topic, messages in self._next_messages(feed, exchange)
                    if topic in listeners
                    for rendered in self._hub.render(topic, messages)
                ]
                for _ in range(steps)
            ]
        return Ahead(frames, listeners)

    def repeat_in_quiet(self, exchanges: Iterable[Exchange]) -> None:
        """Send what an exchange repeats on topics on which nothing was sent for long."""
        for exchange in exchanges:
            if exchange.repeats_after_ns is None:
                continue
            for topic in self._hub.silent_topics(exchange.repeats_after_ns):
                feed = self._feeds[topic.exchange, topic.symbol]
                if topic.exchange == exchange.name and self._is_live(feed):
                    with self._lock:
                        feed.catch_up()
                        self._hub.publish(topic, exchange.repeat(topic, feed, self._clock_ns(feed.exchange)))

    def _is_live(self, feed: SymbolFeed) -> bool:
        return not feed.delisted and (feed.exchange, feed.symbol) not in self.replays

    def _next_messages(self, feed: SymbolFeed, exchange: Exchange) -> list[tuple[Topic, list[Outgoing]]]:
        now_ms = self._clock_ns(feed.exchange) // 1_000_000
        feed.tick(now_ms)
        topics = self._hub.followed(feed.exchange, feed.symbol)
        if not topics:
            return []
        while feed.steps_due > 1:
            feed.step()
        change = feed.step()
        return [
            (
                topic,
                self._bar_messages(topic, feed, exchange, change, now_ms)
                if topic.kind == "bar"
                else exchange.update(topic, feed, change, now_ms),
            )
            for topic in topics
        ]

    def _bar_messages(
        self, topic: Topic, feed: SymbolFeed, exchange: Exchange, change: Change, now_ms: int
    ) -> list[Outgoing]:
        """Write the present bar after a trade, and each bar that ended."""
        bars = [self._open_bars[topic]]
        roll(bars, max(now_ms, feed.now_ms))
        for number, fill in feed.numbered(change):
            bars[-1].add(fill.ticks, fill.lots, number, buys=fill.taker_buys)
        self._open_bars[topic] = bars[-1]
        messages = [exchange.bar(topic, feed, bar, now_ms, confirmed=True) for bar in bars[:-1]]
        if change.fills or len(bars) > 1:
            messages.append(exchange.bar(topic, feed, bars[-1], now_ms, confirmed=False))
        return [message for message in messages if message is not None]
