"""Run one exchange: its markets, its streams, and the connections that bring them."""

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
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
from collector.live.connection import Pace
from collector.live.connections import Common, Connections
from collector.live.first_contact import PATIENCE_S, Contact
from collector.live.replacement import is_old, replace
from collector.live.rest_witness import RestWitness
from collector.live.resync import Resyncs
from collector.network.choosing import collected, look_up
from collector.network.failures import Failure
from collector.network.markets import Markets, Source, load_until
from collector.network.snapshots import Snapshots
from collector.streams.book_stream import BookStream
from collector.streams.maker import StreamMaker
from collector.streams.router import UnknownFrames
from collector.streams.stream import Outlet, Stream

CLAIM_PATIENCE_S = 2.0  # a database that does not answer is told of the streams with their first rows

Claim = Callable[[Sequence[StreamKey]], Future[int]]


async def refusal(claim: Claim, keys: Sequence[StreamKey]) -> str | None:
    """Claim the streams; say why they are not to be had, or None."""
    try:
        await asyncio.wait_for(asyncio.wrap_future(claim(keys)), CLAIM_PATIENCE_S)
    except UserError as error:
        return str(error)
    except (CollectorError, TimeoutError):
        return None
    return None


SUPERVISE_S = 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of one exchange."""

    source: Source
    symbols: tuple[str, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """The configured times and bounds that a feed obeys."""

    pace: Pace
    markets_timeout_s: float
    max_mismatches: int
    mismatch_window_s: float
    levels_per_row: int
    levels_shown: int  # to those who listen
    most_off_s: float  # between the times of trades and bars and our clock
    max_jump: float  # of the middle of a book between two messages, as a share of it
    witness_every_s: float  # each book beside REST


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
        self._asked_in_vain = False  # for the markets
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
            most_off_s=limits.most_off_s,
            max_jump=limits.max_jump,
        )
        self._markets: Markets | None = None
        self._fleet: Connections | None = None
        self._stopped = asyncio.Event()
        self._not_had: list[str] = []

    async def run(self) -> None:
        """Collect until stopped, or until there turns out to be nothing to collect."""
        try:
            self._contact.begin()
            await self._run()
        finally:
            self._contact.end()

    async def _run(self) -> None:
        source, limits = self._wanted.source, self._limits
        markets = await load_until(
            self._stopped, source, limits.markets_timeout_s, limits.pace.backoff, self._no_markets
        )
        if markets is None:
            return
        self._contact.has_markets()
        if self._asked_in_vain:
            self._tell(State.ONLINE)
        gc.freeze()  # markets never change: nothing for the collector to walk
        rest = exchange_of(source.exchange).rest
        snapshots = None if rest is None else Snapshots(source, markets, rest, limits.markets_timeout_s)
        self._markets, self._fleet = markets, Connections(self._common(markets, snapshots), self.stop)
        witness = None
        if snapshots is not None:
            witness = RestWitness(snapshots, limits.witness_every_s, time.monotonic)
        try:
            if await self._may_collect():
                self.add(self._wanted.symbols, self._wanted.channels)
            if self._fleet.connections:
                await self._supervise(self._fleet, witness)
            await self._fleet.ended()
        finally:
            if witness is not None:
                witness.stop()
            if snapshots is not None:
                await snapshots.close()

    def add(self, names: Sequence[str], channels: Sequence[str]) -> list[StreamKey]:
        """Collect these markets as well; returns the new streams. A bad name is told in `refused`."""
        fleet = self._fleet_ready()
        present = {stream.key for stream in fleet.streams}
        new: list[StreamKey] = []
        for kind, market in self._find(names):
            for channel in channels:
                problem = depth_problem(self.exchange, kind, channel)
                if problem is not None:
                    symbol = market["symbol"]
                    self._not_had_of(symbol, "bad_channel", f"{symbol} {channel} refused: {problem}")
                    continue
                try:
                    stream = self._maker.make(kind, market, channel)
                except UserError as error:
                    self._not_had_of(market["symbol"], "bad_symbol", str(error))
                    continue
                if stream.key not in present:
                    fleet.place(stream)
                    present.add(stream.key)
                    new.append(stream.key)
        if not self._stopped.is_set():
            fleet.start()
        return new

    def meant(self, names: Sequence[str], channels: Sequence[str]) -> list[StreamKey]:
        """Return the streams that the names mean; a bad name means none."""
        symbols = [symbol for name in names if (symbol := self.symbol_of(name)) is not None]
        return [StreamKey(self.exchange, symbol, channel) for symbol in symbols for channel in channels]

    def check(self, names: Sequence[str]) -> None:
        """Raise UserError for the first name that means no market, or several."""
        for name in names:
            if self._markets is not None:
                self._markets.kind_of(self._markets.find(name))

    def remove(self, names: Sequence[str]) -> list[StreamKey]:
        """Collect these markets no longer; returns the streams that ended. The others notice nothing."""
        assert self._markets is not None  # noqa: S101  (loaded before anything was collected)
        present = {stream.key.symbol for stream in self._fleet_ready().streams}
        symbols: set[str | None] = set()
        for name in names:
            try:
                symbols.add(collected(self._markets, name, present))
            except UserError as error:
                self._not_had_of(name, "bad_symbol", str(error))
        ended: list[StreamKey] = []
        for connection in self._fleet_ready().connections:
            for stream in connection.subscriptions.streams:
                if stream.key.symbol in symbols:
                    connection.subscriptions.remove(stream)
                    ended.append(stream.key)
        return ended

    def stop(self) -> None:
        """Ask all connections to end."""
        self._stopped.set()
        if self._fleet is not None:
            self._fleet.stop()

    @property
    def exchange(self) -> str:
        """Name the exchange."""
        return self._wanted.source.exchange

    @property
    def ready(self) -> bool:
        """Say whether the markets are known, so that streams can be added and removed."""
        return self._fleet is not None

    def glances(self) -> list[StreamNow]:
        """Show every stream as it stands. Call it in the websocket thread."""
        return [] if self._fleet is None else [stream.glance() for stream in self._fleet.streams]

    @property
    def refused(self) -> list[str]:
        """Tell, in words, what was asked for and is not to be had."""
        if self._fleet is None:
            return list(self._not_had)
        by_topic = (text for one in self._fleet.connections for text in one.subscriptions.refused)
        return [*self._not_had, *self._fleet.refused, *by_topic]

    async def _supervise(self, fleet: Connections, witness: RestWitness | None) -> None:
        """Until stopped: replace each connection before the exchange cuts it, compare books with REST."""
        lifetime_s = exchange_of(self.exchange).lifetime_s
        while not self._stopped.is_set():
            for connection in list(fleet.connections):
                if is_old(connection, lifetime_s):
                    await replace(connection, fleet, self._again, self._stopped)
            if witness is not None:
                witness.look([one for one in fleet.streams if isinstance(one, BookStream)])
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), SUPERVISE_S)

    def _again(self, stream: Stream) -> Stream:
        """Make a second stream of the same kind that stores nothing yet."""
        assert self._markets is not None  # noqa: S101  (loaded before anything was connected)
        market = self._markets.by_symbol[stream.key.symbol]
        return self._maker.make(stream.place.kind, market, stream.key.channel, standby=True)

    def _common(self, markets: Markets, snapshots: Snapshots | None) -> Common:
        limits, pace = self._limits, self._limits.pace
        quiet_after_s = exchange_of(self.exchange).quiet_after_s or 0.0
        return Common(
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
                max_mismatches=limits.max_mismatches,
                mismatch_window_s=limits.mismatch_window_s,
            ),
        )

    async def _may_collect(self) -> bool:
        if self._claim is None:
            return True
        taken = await refusal(self._claim, self.meant(self._wanted.symbols, self._wanted.channels))
        if taken is not None:
            self._not_had.append(f"{self.exchange}: {taken}")
            self._halt("streams_taken", taken)
        return taken is None

    def _fleet_ready(self) -> Connections:
        assert self._fleet is not None  # noqa: S101  (whoever asks looks at `ready` first)
        return self._fleet

    def symbol_of(self, name: str) -> str | None:
        """Return ccxt's name of the market that a name means; None where that is not known."""
        if self._markets is None:
            return None
        try:
            return str(self._markets.find(name)["symbol"])
        except UserError:
            return None

    def _no_markets(self, attempt: int, error: StreamError, failure: Failure) -> None:
        """Tell of each failure as of a connection's, and raise the alarm once."""
        self._contact.failed(failure.cause, failure.detail)
        words = f"attempt {attempt}: {error}"
        self._tell(State.DISCONNECTED, words)
        self._asked_in_vain = True
        if error.permanent or attempt == self._limits.pace.max_reconnect_attempts:
            self._halt("markets", words)
        if error.permanent:
            self._not_had.append(f"{self.exchange}: {error}")

    def _find(self, names: Sequence[str]) -> list[tuple[MarketKind, Any]]:
        """Return the markets that the names mean, each once, with its kind; tell what was chosen."""
        assert self._markets is not None  # noqa: S101  (loaded before anything is looked up)
        found, now_ns = look_up(self._markets, names), self._clock.now_ns()
        for name, text in found.unknown:
            self._not_had_of(name, "bad_symbol", text)
        if found.choices:
            self._events.publish(MarketsChosen(self.exchange, now_ns, tuple(found.choices)))
        for symbol, several in found.repeated.items():
            self._events.publish(MarketRepeated(self.exchange, now_ns, symbol, tuple(several)))
        return found.markets

    def _not_had_of(self, name: str, code: str, text: str) -> None:
        self._not_had.append(f"{self.exchange}: {text}")
        self._halt(code, text, name)

    def _tell(self, state: State, cause: str = "") -> None:
        name, now_ns = f"{self.exchange}.markets", self._clock.now_ns()
        self._events.publish(SystemState(self.exchange, name, state, now_ns, cause))

    def _halt(self, code: str, reason: str, symbol: str | None = None) -> None:
        self._events.publish(PotentialHalt(self.exchange, code, reason, self._clock.now_ns(), symbol))
