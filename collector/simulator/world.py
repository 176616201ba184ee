"""All that the simulator's loop owns: the feeds, the exchanges over them, the sessions and the clock."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from collector.errors import UserError
from collector.simulator.exchanges.binance import Binance
from collector.simulator.exchanges.bybit import Bybit
from collector.simulator.exchanges.exchange import Answer, Connection, Exchange, Outgoing, Request, Topic
from collector.simulator.exchanges.kraken import Kraken
from collector.simulator.faults.admission import Allowance, Door, Verdict
from collector.simulator.faults.tampers import RestFault
from collector.simulator.hub import Hub, Listener, Rendered
from collector.simulator.market.bars import INTERVALS_MS, Bar, roll
from collector.simulator.market.instruments import Instrument, instrument
from collector.simulator.market.market import Change
from collector.simulator.market.past import bars_between
from collector.simulator.market.symbol_feed import SymbolFeed
from collector.simulator.market.truth import Truth
from collector.simulator.session import Session

if TYPE_CHECKING:
    from collector.simulator.recordings.replay import Replay

EXCHANGES: tuple[type[Exchange], ...] = (Bybit, Binance, Kraken)


class Ahead(NamedTuple):
    """Frames made ahead, step by step, and who is to hear them."""

    steps: list[list[Rendered]]
    hearers: dict[Topic, list[Listener]]


class World:
    """The simulated exchanges and their clients."""

    def __init__(
        self,
        symbols: Mapping[str, Sequence[str]],
        *,
        seed: int,
        levels: int,
        remember: int,
        clock_ns: Callable[[], int],
    ) -> None:
        self._raw_clock_ns = clock_ns
        self.clock_offset_ns = 0
        # Held while the market moves or is looked at: the loop steps it, any thread may read it.
        self.lock = threading.RLock()
        start_ms = clock_ns() // 1_000_000

        def feed_of(of: Instrument, start_ms: int) -> SymbolFeed:
            return SymbolFeed(of, seed, levels=levels, remember=remember, start_ms=start_ms)

        self._feed_of = feed_of
        self.feeds = {
            (exchange, symbol): feed_of(instrument(exchange, symbol), start_ms)
            for exchange, names in symbols.items()
            for symbol in names
        }
        self.exchanges = [
            kind({symbol: feed for (exchange, symbol), feed in self.feeds.items() if exchange == kind.name})
            for kind in EXCHANGES
            if kind.name in symbols
        ]
        for each in self.exchanges:
            each.by_name.wake = self._wake
        self.truth = Truth(
            self.feeds, self.lock, remember, lambda name, channel: self.exchange(name).stream_channel(channel)
        )
        self.hub = Hub(self.truth, time.time_ns)
        self.sessions: dict[int, Session] = {}
        self.doors = {each.name: Door() for each in self.exchanges}
        self.replays: dict[tuple[str, str], Replay] = {}
        self.rest_faults: list[RestFault] = []
        self.capacities: dict[str, int] = {}
        self.connection_capacities: dict[str, int] = {}
        self._allowances: dict[tuple[str, str], Allowance] = {}
        self._open_bars: dict[Topic, Bar] = {}
        self._connection_numbers = itertools.count(1)

    def clock_ns(self) -> int:
        """Tell the exchanges' time, which a fault may have set wrong."""
        return self._raw_clock_ns() + self.clock_offset_ns

    def _wake(self, of: Instrument) -> SymbolFeed:
        """Begin a market that was only listed so far."""
        with self.lock:
            feed = self._feed_of(of, self.clock_ns() // 1_000_000)
            self.feeds[of.exchange, of.symbol] = feed
            self.exchange(of.exchange).feeds[of.symbol] = feed
        return feed

    def connect(self, exchange: Exchange, market: str, path: str) -> Connection:
        """Give a new connection its number and name."""
        number = next(self._connection_numbers)
        now_ns = self.clock_ns()
        return Connection(
            number=number,
            exchange=exchange.name,
            path=path,
            market=market,
            wrapped=False,
            name=f"d9avt8shteepr00g{number:04x}-sim",
            opened_ns=now_ns,
            last_client_ns=now_ns,
        )

    def subscribe(self, session: Session, topic: Topic) -> None:
        """Send a new subscriber the present state, then all that follows."""
        with self.lock:
            feed = self.feeds[topic.exchange, topic.symbol]
            feed.catch_up()
            if topic.kind == "bar":
                now_ms = feed.now_ms
                self._open_bars[topic] = bars_between(feed, INTERVALS_MS[topic.interval], now_ms, now_ms)[-1]
            replay = self.replays.get((topic.exchange, topic.symbol))
            if replay is None:
                snapshot = session.exchange.snapshot(topic, feed, self.clock_ns())
            else:
                snapshot = replay.snapshot(topic)
            self.hub.tell(session, topic, snapshot)
            self.hub.subscribe(session, topic)

    def step(self, feed: SymbolFeed, exchange: Exchange) -> None:
        """Let one market take its next step, and tell whoever listens."""
        if feed.delisted or (feed.exchange, feed.symbol) in self.replays:
            return
        with self.lock:
            for topic, messages in self._next_messages(feed, exchange):
                self.hub.publish(topic, messages)

    def make_ahead(self, feed: SymbolFeed, exchange: Exchange, steps: int) -> Ahead:
        """Let a market take steps whose frames are sent later, to those who listen now."""
        with self.lock:
            hearers = {
                topic: self.hub.listeners(topic) for topic in self.hub.topics(feed.exchange, feed.symbol)
            }
            frames = [
                [
                    rendered
                    for topic, messages in self._next_messages(feed, exchange)
                    for rendered in self.hub.render(topic, messages)
                ]
                for _ in range(steps)
            ]
        return Ahead(frames, hearers)

    def _next_messages(self, feed: SymbolFeed, exchange: Exchange) -> list[tuple[Topic, list[Outgoing]]]:
        now_ms = self.clock_ns() // 1_000_000
        feed.tick(now_ms)
        topics = self.hub.topics(feed.exchange, feed.symbol)
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
        """Tell how the present bar stands after a trade, and of each bar that ended."""
        bars = [self._open_bars[topic]]
        roll(bars, now_ms)
        first = feed.trade_base + len(feed.trades) - len(change.fills)
        for number, fill in enumerate(change.fills, first):
            bars[-1].add(fill.ticks, fill.lots, number, buys=fill.taker_buys)
        self._open_bars[topic] = bars[-1]
        said = [exchange.bar(topic, feed, bar, now_ms, confirmed=True) for bar in bars[:-1]]
        if change.fills or len(bars) > 1:
            said.append(exchange.bar(topic, feed, bars[-1], now_ms, confirmed=False))
        return [message for message in said if message is not None]

    def exchange(self, name: str) -> Exchange:
        """Find an exchange by its name."""
        for each in self.exchanges:
            if each.name == name:
                return each
        raise UserError(f"this simulator has no exchange {name}")

    def chosen(self, exchange: str | None, symbol: str | None) -> list[Session]:
        """List the sessions on an exchange that hear a symbol."""
        return [
            session
            for session in self.sessions.values()
            if exchange in {None, session.exchange.name}
            and (
                symbol is None or any(topic.symbol == symbol for topic in session.connection.topics.values())
            )
        ]

    def spend(self, exchange: Exchange, request: Request, now_ms: int) -> Verdict:
        """Take a request off the exchange's allowance."""
        rule, weight = exchange.rule(request)
        if exchange.name in self.capacities:
            rule = rule._replace(capacity=self.capacities[exchange.name])
        allowance = self._allowances.setdefault((exchange.name, rule.bucket), Allowance())
        return allowance.spend(rule, weight, now_ms)

    def admits(self, exchange: Exchange, now_ms: int) -> bool:
        """Tell whether one more connection is within the exchange's allowance for one address."""
        rule = exchange.connection_rule
        capacity = self.connection_capacities.get(exchange.name, rule.capacity)
        allowance = self._allowances.setdefault((exchange.name, rule.bucket), Allowance())
        return not allowance.spend(rule._replace(capacity=capacity), 1, now_ms).wait_ms

    def rest_fault(self, exchange: Exchange, request: Request) -> RestFault | None:
        """Use up the first fault armed for a request."""
        for fault in self.rest_faults:
            if fault.matches(exchange.name, request.path):
                fault.count -= 1
                return fault
        return None

    def rest(self, exchange: Exchange, request: Request, now_ms: int) -> Answer:
        """Answer a REST request, from a recording where one is played."""
        with self.lock:
            for (name, _), replay in self.replays.items():
                answer = replay.rest(request) if name == exchange.name else None
                if answer is not None:
                    return answer
            return exchange.rest(request, now_ms) or Answer('{"error":"not found"}', 404)

    def beat(self) -> None:
        """Send the heartbeats that are due; close what is idle, or older than its exchange allows."""
        now_ns = self.clock_ns()
        for session in list(self.sessions.values()):
            connection, exchange = session.connection, session.exchange
            for data in exchange.heartbeat(connection, now_ns):
                session.write(data)
            lifetime_ns = exchange.lifetime_ns
            if lifetime_ns is not None and now_ns - connection.opened_ns > lifetime_ns:
                self.truth.note_fault("expired", exchange.name, connection=connection.number)
                session.close(1001)
            elif exchange.is_idle(connection, now_ns):
                self.truth.note_fault("idle", exchange.name, connection=connection.number)
                session.close(1008)

    def repeat_best(self) -> None:
        """Send the best prices again where an exchange does so in a quiet market."""
        for exchange in self.exchanges:
            if exchange.repeats_best_after_ns is None:
                continue
            for topic in self.hub.silent_topics(exchange.repeats_best_after_ns):
                feed = self.feeds[topic.exchange, topic.symbol]
                is_live = (topic.exchange, topic.symbol) not in self.replays and not feed.delisted
                if topic.exchange == exchange.name and topic.kind == "bbo" and is_live:
                    with self.lock:
                        feed.catch_up()
                        self.hub.publish(topic, exchange.snapshot(topic, feed, self.clock_ns()))

    async def drained(self) -> None:
        """Let the loop breathe, and wait for clients that are behind."""
        await asyncio.sleep(0)
        for session in list(self.sessions.values()):
            await session.drained()

    async def subscribed(self, exchange: str, symbol: str, channel: str, timeout_s: float) -> None:
        """Wait until somebody hears a channel."""
        async with asyncio.timeout(timeout_s):
            wanted = self.exchange(exchange).stream_channel(channel)
            while not any(topic.channel == wanted for topic in self.hub.topics(exchange, symbol)):
                await self.hub.change()

    def pairs(
        self, exchange: str | None = None, symbol: str | None = None
    ) -> list[tuple[SymbolFeed, Exchange]]:
        """List the feeds, each with its exchange, that these names select."""
        return [
            (feed, each)
            for each in self.exchanges
            for feed in each.feeds.values()
            if exchange in {None, each.name} and symbol in {None, feed.symbol}
        ]
