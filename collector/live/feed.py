"""Collect from one exchange: load its markets, make its streams, and run their connections."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Container, Sequence
from concurrent.futures import Future
from typing import Any

from collector.book import Kernel, OrderBook
from collector.buffer import Buffer
from collector.clock import Clock
from collector.errors import UserError
from collector.events import EventBus, StreamKey
from collector.exchanges import exchange_of
from collector.live.asked_for import DELISTED, AskedFor, Claim, refusal, symbol_of
from collector.live.connections import Connections, ExchangeContext
from collector.live.first_contact import PATIENCE_S, Contact
from collector.live.insisting import insist
from collector.live.limits import Limits, Wanted
from collector.live.market_list import MarketList
from collector.live.rest_witness import RestWitness
from collector.live.resync import new_resyncs
from collector.live.shared_budgets import SharedBudgets
from collector.live.supervision import supervise
from collector.live.universe import Acts, UniverseKeeper
from collector.network import BudgetNow, Markets, Snapshots, collected
from collector.streams import LEFT_UNIVERSE, Outlet, Stream, StreamMaker, UnknownFrames

NOTHING_TO_COLLECT = "nothing_to_collect"  # the code of the alarm


class Feed:
    """All that is collected from one exchange. Lives in the websocket thread's loop.

    Whatever goes wrong here is told and tried again; other exchanges never notice.
    """

    def __init__(
        self,
        wanted: Wanted,
        limits: Limits,
        buffer: Buffer,
        *,
        clock: Clock,
        events: EventBus,
        new_segment_id: Callable[[], int],
        on_unknown: Callable[[str, str, str], None] | None = None,
        claim: Claim | None = None,
        patience_s: float = PATIENCE_S,
        remembered: Callable[[], Sequence[str]] = list,  # the universe of last time. Blocks
        kernel: Kernel | None = None,
    ) -> None:
        self._wanted = wanted
        self._claim = claim
        self._contact = Contact(wanted.source, events, clock, patience_s)
        self._limits = limits
        self._kernel = kernel
        self._clock = clock
        self._events = events
        self._unknown = UnknownFrames(wanted.source.exchange, buffer, on_unknown)
        self._maker = StreamMaker(
            wanted.source.exchange,
            Outlet(buffer, events, new_segment_id),
            levels_per_row=limits.levels_per_row,
            levels_shown=limits.levels_shown,
            most_off_s=limits.integrity.max_time_off_s,
            max_jump=limits.integrity.max_jump,
            new_book=OrderBook if kernel is None else kernel.new_book,
        )
        self._list = MarketList(wanted, limits.pace, clock=clock, events=events, contact=self._contact)
        self._connections: Connections | None = None
        self._budgets = SharedBudgets(wanted.source, events)
        self._stopped = asyncio.Event()
        self._asked_for = AskedFor(self.exchange, wanted.symbols, wanted.channels, clock=clock, events=events)
        acts = Acts(self._collect, self._leave_universe, self.symbol_of, remembered)
        self.universe = UniverseKeeper(
            wanted, limits.pace, acts, stopped=self._stopped, clock=clock, events=events
        )

    async def run(self) -> None:
        """Collect until stopped."""
        with self._budgets.told():
            try:
                self._contact.begin()
                await self._run()
            finally:
                self._contact.end()

    async def _run(self) -> None:
        source, limits = self._wanted.source, self._limits
        markets = await self._list.load(self._stopped)
        if markets is None:
            return
        protocol = exchange_of(source.exchange)
        snapshots = None
        if protocol.rest is not None or protocol.check is not None:
            snapshots = Snapshots(source, markets, protocol, limits.pace.markets_timeout_s)
        connections = self._connections = Connections(self._context(markets, snapshots))
        witness = None
        if snapshots is not None and protocol.rest is not None:  # only books opened by REST are compared so
            witness = RestWitness(snapshots, limits.integrity.witness_every_s, time.monotonic)
        try:
            await self._collect(self._asked_for.names)
            if self.is_idle and self._asked_for.refused:
                self._contact.end()  # it was reached, and nothing is dialled
                self._asked_for.alarm(NOTHING_TO_COLLECT, "; ".join(self._asked_for.refused))
            await asyncio.gather(
                self._insist(
                    lambda: supervise(connections, witness, self._standby, protocol.lifetime_s, self._stopped)
                ),
                self._insist(
                    lambda: self._list.keep(self._stopped, self._markets_collected, self._refreshed)
                ),
                self._insist(lambda: self.universe.keep(markets)),
            )
        finally:
            connections.stop()
            await connections.ended()
            if not self._stopped.is_set():
                self._connections = None  # after a fault of ours all is made anew
            if witness is not None:
                witness.stop()
            if snapshots is not None:
                await snapshots.close()

    async def _insist(self, work: Callable[[], Awaitable[None]]) -> None:
        on_fault = lambda words: self._asked_for.alarm("internal_error", words)  # noqa: E731
        await insist(work, self._stopped, self._limits.pace.backoff, on_fault)

    def add(self, names: Sequence[str]) -> list[StreamKey]:
        """Collect more markets and return the new streams; a bad name is listed in `refused`."""
        self.universe.name(names)
        return self._add(names)

    def _add(self, names: Sequence[str]) -> list[StreamKey]:
        connections = self._running()
        assert self._list.markets is not None  # noqa: S101  (loaded before anything is collected)
        present = {stream.key for stream in connections.streams}
        new: list[StreamKey] = []
        for kind, market in self._asked_for.find(self._list.markets, names):
            for channel in self._wanted.channels:
                key = StreamKey(self.exchange, market["symbol"], channel)
                stream = None if key in present else self._asked_for.made(self._maker, kind, market, channel)
                if stream is not None:
                    connections.place(stream)
                    present.add(stream.key)
                    new.append(stream.key)
        if not self._stopped.is_set():
            connections.start()
        return new

    def meant(self, names: Sequence[str]) -> list[StreamKey]:
        """Return the streams that the names mean; none for a bad name."""
        symbols = [symbol for name in names if (symbol := self.symbol_of(name)) is not None]
        return [
            StreamKey(self.exchange, symbol, channel)
            for symbol in symbols
            for channel in self._wanted.channels
        ]

    def check(self, names: Sequence[str]) -> None:
        """Raise UserError for the first name that means no market, or several."""
        markets = self._list.markets
        for name in names:
            if markets is not None:
                markets.kind_of(markets.find(name))

    def look_for(self, names: Sequence[str]) -> "Future[None]":
        """Look at the exchange's list again where a name means nothing in ours; done when that is over."""
        if all(self.symbol_of(name) is not None for name in names):
            known: Future[None] = Future()
            known.set_result(None)
            return known
        return self._list.look_again()

    def remove(self, names: Sequence[str]) -> list[StreamKey]:
        """Stop collecting these markets and return the streams that ended; the others go on undisturbed."""
        markets = self._list.markets
        assert markets is not None  # noqa: S101  (loaded before anything was collected)
        self.universe.bar(names)
        present = {stream.key.symbol for stream in self._running().streams}
        symbols: set[str | None] = set()
        for name in names:
            try:
                symbols.add(collected(markets, name, present))
            except UserError as error:
                if not self._asked_for.asks(name):
                    self._asked_for.refuse(name, "bad_symbol", str(error))
        self._running().refused_streams.forget(symbols | {self.symbol_of(name) for name in names})
        ended = self._running().remove(symbols)
        self._asked_for.forget(names, symbols)
        return ended

    def look_again(self) -> "Future[None]":
        """Look at the exchange's list of markets now; done when that is over, well or not."""
        return self._list.look_again(at_once=True)

    def clock_stepped(self, step_ns: int) -> None:
        """End all segments on the clock of before, and go on by the new one."""
        if self._connections is not None:
            self._connections.clock_stepped(step_ns)

    def stop(self) -> None:
        """Ask all connections to end."""
        self._stopped.set()
        if self._connections is not None:
            self._connections.stop()

    @property
    def exchange(self) -> str:
        """The name of the exchange."""
        return self._wanted.source.exchange

    @property
    def ready(self) -> bool:
        """Whether the markets are known, so that streams can be added and removed."""
        return self._connections is not None

    @property
    def markets(self) -> Markets | None:
        """The exchange's markets, once they are known; to be read only. For any thread."""
        return self._list.markets

    @property
    def is_idle(self) -> bool:
        """Whether nothing of what was asked for can be collected, as far as is known, or all was given up."""
        connections = self._connections
        nothing = connections is not None and connections.is_idle and not self.universe.is_wanted
        return self._list.is_over or nothing

    @property
    def frames(self) -> int:
        """The number of frames that its connections have brought. Call it in the websocket thread."""
        return 0 if self._connections is None else sum(one.frames for one in self._connections.connections)

    def streams(self) -> list[Stream]:
        """Return what is collected, each stream once. Call it in the websocket thread."""
        streams = [] if self._connections is None else self._connections.streams
        return [stream for stream in streams if not stream.is_standby]

    @property
    def expected(self) -> list[StreamKey]:
        """The streams that are asked for, whether or not anything is collected of them. For any thread."""
        return self._asked_for.keys

    @property
    def budgets(self) -> list[BudgetNow]:
        """The state of the request budget of each REST address. For any thread."""
        return self._budgets.now()

    @property
    def refused(self) -> list[str]:
        """What was asked for and cannot be collected now, each with its reason. For any thread."""
        connections = self._connections
        troubles = [one for one in (self._list.trouble, self.universe.trouble) if one is not None]
        ours = [*troubles, *self._asked_for.refused]
        return ours if connections is None else [*ours, *connections.refused]

    def _standby(self, stream: Stream) -> Stream:
        """Make a second stream of the same kind that stores nothing yet."""
        assert self._list.markets is not None  # noqa: S101  (loaded before anything was connected)
        market = self._list.markets.by_symbol[stream.key.symbol]
        return self._maker.make(stream.topic.kind, market, stream.key.channel, standby=True)

    def _context(self, markets: Markets, snapshots: Snapshots | None) -> ExchangeContext:
        quiet_after_s = exchange_of(self.exchange).quiet_after_s or 0.0
        return ExchangeContext(
            self._wanted.source,
            markets,
            self._limits.pace,
            self._clock,
            self._events,
            self._unknown,
            snapshots,
            new_resyncs=lambda: new_resyncs(self._limits, quiet_after_s),
            kernel=self._kernel,
        )

    async def _collect(self, names: Sequence[str]) -> list[StreamKey]:
        """Claim what the names mean, and collect it."""
        taken = await refusal(self._claim, self.meant(names))
        if taken is not None:
            for name in names:
                self._asked_for.refuse(name, "streams_taken", taken, awaited=True)
            return []
        return self._add(names)

    def _leave_universe(self, symbols: Collection[str]) -> None:
        self._running().refused_streams.forget(set(symbols))
        self._running().remove(symbols, LEFT_UNIVERSE)
        self._asked_for.forget(symbols, symbols)

    def _markets_collected(self) -> dict[str, Any]:
        assert self._list.markets is not None  # noqa: S101  (loaded before anything is collected)
        by_symbol = self._list.markets.by_symbol
        symbols = (stream.key.symbol for stream in self._running().streams)
        return {symbol: by_symbol[symbol] for symbol in symbols}

    async def _refreshed(self, listed: Container[str]) -> None:
        """Collect what the list of markets has by now, and report what it has no longer."""
        names = [*self._asked_for.pending, *self._asked_for.listed_again(listed)]
        if names and await self._collect(names):
            self._asked_for.begun(names)
        self._running().retry_refused()
        gone = self._asked_for.note_listed(listed, list(self._markets_collected()))
        self._running().remove(gone, DELISTED)
        self.universe.drop(gone)
        await self.universe.look()

    def _running(self) -> Connections:
        assert self._connections is not None  # noqa: S101  (callers check `ready` first)
        return self._connections

    def symbol_of(self, name: str) -> str | None:
        """Return ccxt's name of the market that a name means; None where that is not known."""
        return symbol_of(self._list.markets, name)
