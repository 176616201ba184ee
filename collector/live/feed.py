"""Collect from one exchange: load its markets, make its streams, and run their connections."""

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from collector.buffer.buffer import Buffer
from collector.clock import Clock
from collector.errors import CollectorError, StreamError, UserError
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.events.notices import (
    MarketRepeated,
    MarketsChosen,
    PotentialHalt,
    State,
    StreamNow,
    SystemState,
)
from collector.exchanges.exchange import MarketKind
from collector.exchanges.meaning import depth_problem
from collector.exchanges.registry import exchange_of
from collector.live.connections import Connections, ExchangeContext
from collector.live.first_contact import PATIENCE_S, Contact
from collector.live.limits import Limits, Wanted
from collector.live.replacement import is_old, replace
from collector.live.rest_witness import RestWitness
from collector.live.resync import Resyncs
from collector.network.choosing import collected, look_up
from collector.network.failures import Failure
from collector.network.markets import Markets, load_until
from collector.network.snapshots import Snapshots
from collector.streams.book_stream import BookStream
from collector.streams.maker import StreamMaker
from collector.streams.router import UnknownFrames
from collector.streams.stream import Outlet, Stream

SUPERVISE_S = 0.5
CLAIM_PATIENCE_S = 2.0  # a database that does not answer gets the streams with their first rows

Claim = Callable[[Sequence[StreamKey]], Future[int]]


async def refusal(claim: Claim, keys: Sequence[StreamKey]) -> str | None:
    """Claim the streams; return why they cannot be collected, or None."""
    try:
        await asyncio.wait_for(asyncio.wrap_future(claim(keys)), CLAIM_PATIENCE_S)
    except UserError as error:
        return str(error)
    except (CollectorError, TimeoutError):
        return None
    return None


class Feed:
    """All that is collected from one exchange. Lives in the websocket thread's loop."""

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
    ) -> None:
        self._wanted = wanted
        self._claim = claim
        self._markets_refused = False
        self._contact = Contact(wanted.source, events, clock, patience_s)
        self._limits = limits
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
        )
        self._markets: Markets | None = None
        self._connections: Connections | None = None
        self._stopped = asyncio.Event()
        self._refused: list[str] = []

    async def run(self) -> None:
        """Collect until stopped, or until nothing is left to collect."""
        try:
            self._contact.begin()
            await self._run()
        finally:
            self._contact.end()

    async def _run(self) -> None:
        source, limits = self._wanted.source, self._limits
        markets = await load_until(
            self._stopped, source, limits.pace.markets_timeout_s, limits.pace.backoff, self._no_markets
        )
        if markets is None:
            return
        self._contact.has_markets()
        if self._markets_refused:
            self._publish_state(State.ONLINE)
        gc.freeze()  # markets never change: nothing for the collector to walk
        protocol = exchange_of(source.exchange)
        snapshots = None
        if protocol.rest is not None or protocol.check is not None:
            snapshots = Snapshots(source, markets, protocol, limits.pace.markets_timeout_s)
        self._markets, self._connections = markets, Connections(self._context(markets, snapshots), self.stop)
        witness = None
        if snapshots is not None:
            witness = RestWitness(snapshots, limits.integrity.witness_every_s, time.monotonic)
        try:
            if await self._may_collect():
                self.add(self._wanted.symbols)
            if self._connections.connections:
                await self._supervise(self._connections, witness)
            await self._connections.ended()
        finally:
            if witness is not None:
                witness.stop()
            if snapshots is not None:
                await snapshots.close()

    def add(self, names: Sequence[str]) -> list[StreamKey]:
        """Collect more markets and return the new streams; a bad name is listed in `refused`."""
        connections = self._running()
        present = {stream.key for stream in connections.streams}
        new: list[StreamKey] = []
        for kind, market in self._find(names):
            for channel in self._wanted.channels:
                problem = depth_problem(self.exchange, kind, channel)
                if problem is not None:
                    symbol = market["symbol"]
                    self._refuse(symbol, "bad_channel", f"{symbol} {channel} refused: {problem}")
                    continue
                try:
                    stream = self._maker.make(kind, market, channel)
                except UserError as error:
                    self._refuse(market["symbol"], "bad_symbol", str(error))
                    continue
                if stream.key not in present:
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
        for name in names:
            if self._markets is not None:
                self._markets.kind_of(self._markets.find(name))

    def remove(self, names: Sequence[str]) -> list[StreamKey]:
        """Stop collecting these markets and return the streams that ended; the others go on undisturbed."""
        assert self._markets is not None  # noqa: S101  (loaded before anything was collected)
        present = {stream.key.symbol for stream in self._running().streams}
        symbols: set[str | None] = set()
        for name in names:
            try:
                symbols.add(collected(self._markets, name, present))
            except UserError as error:
                self._refuse(name, "bad_symbol", str(error))
        ended: list[StreamKey] = []
        for connection in self._running().connections:
            for stream in connection.subscriptions.streams:
                if stream.key.symbol in symbols:
                    connection.subscriptions.remove(stream)
                    ended.append(stream.key)
        return ended

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

    def glances(self) -> list[StreamNow]:
        """Return the state of every stream. Call it in the websocket thread."""
        return [] if self._connections is None else [stream.glance() for stream in self._connections.streams]

    @property
    def refused(self) -> list[str]:
        """What was asked for and cannot be collected, each with its reason."""
        if self._connections is None:
            return list(self._refused)
        by_topic = (text for one in self._connections.connections for text in one.subscriptions.refused)
        return [*self._refused, *self._connections.refused, *by_topic]

    async def _supervise(self, connections: Connections, witness: RestWitness | None) -> None:
        """Replace each connection before the exchange cuts it, and compare books with REST, until stopped."""
        lifetime_s = exchange_of(self.exchange).lifetime_s
        while not self._stopped.is_set():
            for connection in list(connections.connections):
                if is_old(connection, lifetime_s):
                    await replace(connection, connections, self._standby, self._stopped)
            if witness is not None:
                witness.look([one for one in connections.streams if isinstance(one, BookStream)])
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), SUPERVISE_S)

    def _standby(self, stream: Stream) -> Stream:
        """Make a second stream of the same kind that stores nothing yet."""
        assert self._markets is not None  # noqa: S101  (loaded before anything was connected)
        market = self._markets.by_symbol[stream.key.symbol]
        return self._maker.make(stream.topic.kind, market, stream.key.channel, standby=True)

    def _context(self, markets: Markets, snapshots: Snapshots | None) -> ExchangeContext:
        limits, pace = self._limits, self._limits.pace
        quiet_after_s = exchange_of(self.exchange).quiet_after_s or 0.0
        return ExchangeContext(
            self._wanted.source,
            markets,
            pace,
            self._clock,
            self._events,
            self._unknown,
            snapshots,
            new_resyncs=lambda: Resyncs(
                backoff=pace.backoff,
                snapshot_timeout_s=pace.subscribe_timeout_s,
                stale_after_s=max(pace.stale_after_s, quiet_after_s),
                max_mismatches=limits.integrity.max_mismatches,
                mismatch_window_s=limits.integrity.mismatch_window_s,
            ),
        )

    async def _may_collect(self) -> bool:
        if self._claim is None:
            return True
        taken = await refusal(self._claim, self.meant(self._wanted.symbols))
        if taken is not None:
            self._refused.append(f"{self.exchange}: {taken}")
            self._alarm("streams_taken", taken)
        return taken is None

    def _running(self) -> Connections:
        assert self._connections is not None  # noqa: S101  (callers check `ready` first)
        return self._connections

    def symbol_of(self, name: str) -> str | None:
        """Return ccxt's name of the market that a name means; None where that is not known."""
        if self._markets is None:
            return None
        try:
            return str(self._markets.find(name)["symbol"])
        except UserError:
            return None

    def _no_markets(self, attempt: int, error: StreamError, failure: Failure) -> None:
        """Publish each failure as a connection's, and an alarm once."""
        self._contact.failed(failure.cause, failure.detail)
        words = f"attempt {attempt}: {error}"
        self._publish_state(State.DISCONNECTED, words)
        self._markets_refused = True
        if error.permanent or attempt == self._limits.pace.max_reconnect_attempts:
            self._alarm("markets", words)
        if error.permanent:
            self._refused.append(f"{self.exchange}: {error}")

    def _find(self, names: Sequence[str]) -> list[tuple[MarketKind, Any]]:
        """Return the markets that the names mean, each once, with its kind; publish the choices made."""
        assert self._markets is not None  # noqa: S101  (loaded before anything is looked up)
        found, now_ns = look_up(self._markets, names), self._clock.now_ns()
        for name, text in found.unknown:
            self._refuse(name, "bad_symbol", text)
        if found.choices:
            self._events.publish(MarketsChosen(self.exchange, now_ns, tuple(found.choices)))
        for symbol, several in found.repeated.items():
            self._events.publish(MarketRepeated(self.exchange, now_ns, symbol, tuple(several)))
        return found.markets

    def _refuse(self, name: str, code: str, text: str) -> None:
        self._refused.append(f"{self.exchange}: {text}")
        self._alarm(code, text, name)

    def _publish_state(self, state: State, cause: str = "") -> None:
        name, now_ns = f"{self.exchange}.markets", self._clock.now_ns()
        self._events.publish(SystemState(self.exchange, name, state, now_ns, cause))

    def _alarm(self, code: str, reason: str, symbol: str | None = None) -> None:
        self._events.publish(PotentialHalt(self.exchange, code, reason, self._clock.now_ns(), symbol))
