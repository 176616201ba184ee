"""All that the simulator's loop owns: the feeds, the exchanges over them, the sessions and the clock."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from collector.errors import UserError
from collector.simulator.admission import Admission, Allowances
from collector.simulator.conditions import Conditions
from collector.simulator.exchanges import EXCHANGES, Exchange
from collector.simulator.hub import Hub
from collector.simulator.market import Instrument, PastPlan, SymbolFeed, Truth
from collector.simulator.messages import Answer, Connection, Request
from collector.simulator.publisher import Publisher
from collector.simulator.send_log import SendLog
from collector.simulator.session import Session, SessionContext
from collector.simulator.tampers import RestFault
from collector.simulator.tempos import Tempos


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
        log: SendLog | None = None,
        past: PastPlan | None = None,
    ) -> None:
        self._raw_clock_ns = clock_ns
        self.clock_offsets_ns: dict[str, int] = {}
        # Held while the market moves or is looked at: the loop steps it, any thread may read it.
        self.lock = threading.RLock()
        start_ms = clock_ns() // 1_000_000

        def feed_of(of: Instrument, start_ms: int) -> SymbolFeed:
            return SymbolFeed(
                of,
                seed,
                levels=levels,
                remember=remember,
                start_ms=start_ms,
                past=past,
                bars_in_outages=EXCHANGES[of.exchange].bars_in_outages,
            )

        self._feed_of = feed_of
        self.feeds = {
            (exchange, symbol): feed_of(EXCHANGES[exchange].instrument(symbol), start_ms)
            for exchange, names in symbols.items()
            for symbol in names
        }
        self.exchanges = [
            kind({symbol: feed for (exchange, symbol), feed in self.feeds.items() if exchange == name})
            for name, kind in EXCHANGES.items()
            if name in symbols
        ]
        for each in self.exchanges:
            each.by_name.start_market = self._start_market
        self.truth = Truth(
            self.feeds, self.lock, remember, lambda name, channel: self.exchange(name).stream_channel(channel)
        )
        self.truth.log = log
        self.log = log
        self.conditions = {each.name: Conditions(f"{seed}:{each.name}:way") for each in self.exchanges}
        self.hub = Hub(self.truth, time.time_ns, log)
        self.publisher = Publisher(self.hub, self.feeds, self.lock, self.clock_ns)
        self.session_context = SessionContext(
            self.hub, self.publisher, self.truth, self.clock_ns, self.conditions, log
        )
        self.allowances = Allowances()
        self.tempos = Tempos()
        self.rest_faults: list[RestFault] = []
        self._admissions = {each.name: Admission() for each in self.exchanges}
        self._connection_numbers = itertools.count(1)

    def clock_ns(self, exchange: str) -> int:
        """Return an exchange's time, which a fault may have set wrong."""
        return self._raw_clock_ns() + self.clock_offsets_ns.get(exchange, 0)

    def sessions(self) -> list[Session]:
        """List the sessions that are open now."""
        return list(self.session_context.open.values())

    def connect(self, exchange: Exchange, market: str, path: str) -> Connection:
        """Number and name a new connection."""
        number = next(self._connection_numbers)
        now_ns = self.clock_ns(exchange.name)
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

    def exchange(self, name: str) -> Exchange:
        """Find an exchange by its name."""
        for each in self.exchanges:
            if each.name == name:
                return each
        raise UserError(f"this simulator has no exchange {name}")

    def admission(self, exchange: str) -> Admission:
        """Find the faults armed for those who come next to an exchange."""
        return self._admissions[self.exchange(exchange).name]

    def chosen(self, exchange: str | None, symbol: str | None) -> list[Session]:
        """List the sessions on an exchange that are subscribed to a symbol."""
        return [
            session
            for session in self.sessions()
            if exchange in {None, session.exchange.name}
            and (
                symbol is None or any(topic.symbol == symbol for topic in session.connection.topics.values())
            )
        ]

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

    def take_rest_fault(self, exchange: Exchange, request: Request) -> RestFault | None:
        """Use up the first fault armed for a request."""
        for fault in self.rest_faults:
            if fault.matches(exchange.name, request.path):
                if fault.after:
                    fault.after -= 1
                    continue
                fault.count -= 1
                return fault
        return None

    def rest(self, exchange: Exchange, request: Request, now_ms: int) -> Answer:
        """Answer a REST request, from a recording where one is played."""
        with self.lock:
            for (name, _), replay in self.publisher.replays.items():
                answer = replay.rest(request) if name == exchange.name else None
                if answer is not None:
                    return answer
            return exchange.rest(request, now_ms) or Answer('{"error":"not found"}', 404)

    def beat(self) -> None:
        """Send the heartbeats that are due; close what is idle, or older than its exchange allows."""
        monotonic_ns = time.monotonic_ns()
        for session in self.sessions():
            connection, exchange = session.connection, session.exchange
            now_ns = self.clock_ns(exchange.name)
            for data in exchange.heartbeat(connection, now_ns):
                session.write(data, session.note_heartbeat)
            lifetime_ns = exchange.lifetime_ns
            if lifetime_ns is not None and now_ns - connection.opened_ns > lifetime_ns:
                self.truth.note_fault("expired", exchange.name, connection=connection.number)
                session.close(1001)
            elif exchange.is_idle(connection, now_ns, monotonic_ns - connection.last_traffic_ns):
                self.truth.note_fault("idle", exchange.name, connection=connection.number)
                session.close(*exchange.idle_close)

    async def drained(self) -> None:
        """Yield to the loop, and wait for clients that are behind."""
        await asyncio.sleep(0)
        for session in self.sessions():
            await session.drained()

    async def arrived(self) -> None:
        """Wait until what was written so far has had its time on the way."""
        now_s = asyncio.get_running_loop().time()
        due_s = max((session.last_due_s for session in self.sessions()), default=now_s)
        if due_s > now_s:
            await asyncio.sleep(due_s - now_s)

    async def subscribed(self, exchange: str, symbol: str, channel: str, timeout_s: float) -> None:
        """Wait until a channel has a subscriber."""
        async with asyncio.timeout(timeout_s):
            wanted = self.exchange(exchange).stream_channel(channel)
            while not any(topic.channel == wanted for topic in self.hub.topics(exchange, symbol)):
                await self.hub.change()

    def enlist(self, exchange: str, symbol: str) -> None:
        """List a market, new or taken off before."""
        each = self.exchange(exchange)
        feed = self.feeds.get((exchange, symbol))
        if feed is not None:
            feed.delisted = False
            return
        if "/" not in symbol:
            raise UserError(f"{symbol!r} is no symbol: expected one such as BTC/USDT or BTC/USDT:USDT")
        each.by_name.add(self._start_market(each.instrument(symbol)))

    def _start_market(self, of: Instrument) -> SymbolFeed:
        """Start a market that was only listed so far."""
        with self.lock:
            feed = self._feed_of(of, self.clock_ns(of.exchange) // 1_000_000)
            self.feeds[of.exchange, of.symbol] = feed
            self.exchange(of.exchange).feeds[of.symbol] = feed
        return feed
