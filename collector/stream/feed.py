"""Run one exchange: markets, then a connection for each kind of market, each with its books."""

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from collector.book.bridged import BridgedBook, BridgingRule
from collector.book.verified import VerifiedBook
from collector.buffer.buffer import Buffer
from collector.clock import Clock
from collector.errors import StreamError, UserError
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.events.glance import Glance
from collector.events.notices import PotentialHalt
from collector.exchanges.protocol import EXCHANGES, depth_of
from collector.exchanges.venues import Kind, dialled
from collector.stream.book_stream import BookStream, Place
from collector.stream.connection import Address, Connection, Pace
from collector.stream.markets import Markets, Source, load_markets
from collector.stream.resync import Resyncs
from collector.stream.snapshots import Snapshots
from collector.stream.unknown import UnknownFrames
from collector.stream.waiting import in_thread

USED_LIFETIME = 0.95  # of what a connection may live: time enough to bring up another
SUPERVISE_S = 0.5
HAND_OVER_S = 60.0
HAND_OVER_TICK_S = 0.05


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


class Feed:
    """All connections of one exchange. Lives in the websocket thread's loop."""

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
    ) -> None:
        self._wanted = wanted
        self._limits = limits
        self._buffer = buffer
        self._clock = clock
        self._events = events
        self._new_segment_id = new_segment_id
        self._unknown = UnknownFrames(wanted.source.exchange, buffer, on_unknown)
        self._connections: list[Connection] = []
        self._started: set[Connection] = set()
        self._connection_number = 0
        self._running: set[asyncio.Future[None]] = set()
        self._markets: Markets | None = None
        self._snapshots: Snapshots | None = None
        self._stopped = asyncio.Event()
        self._bad_symbols: list[str] = []

    async def run(self) -> None:
        """Collect until stopped, or until there turns out to be nothing to collect."""
        markets = await self._load_markets()
        if markets is None:
            return
        self._markets = markets
        gc.freeze()  # markets never change: nothing for the collector to walk
        rest = EXCHANGES[self._wanted.source.exchange].rest
        if rest is not None:
            self._snapshots = Snapshots(self._wanted.source, markets, rest, self._limits.markets_timeout_s)
        try:
            self.add(self._wanted.symbols, self._wanted.channels)
            if self._running:
                await self._supervise()
            await asyncio.gather(*self._running)
        finally:
            if self._snapshots is not None:
                await self._snapshots.close()

    async def _supervise(self) -> None:
        """Until stopped: replace each connection before the exchange cuts it."""
        lifetime_s = EXCHANGES[self.exchange].lifetime_s
        while not self._stopped.is_set():
            for connection in self._connections:
                if lifetime_s is not None and connection.age_s > lifetime_s * USED_LIFETIME:
                    await self._replace(connection)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), SUPERVISE_S)

    async def _replace(self, old: Connection) -> None:
        """Bring up a second connection beside one, let it take over stream by stream, stop the first.

        No hole appears: a stream changes hands at a moment when both books stand at the same update.
        """
        standbys = {stream: self._again(stream) for stream in old.subscriptions.streams}
        new = self._connection(old.address.kind, self._connection_number, list(standbys.values()))
        self._connection_number += 1
        self._connections.append(new)
        self._start(new)
        waiting = set(standbys)
        deadline_s = time.monotonic() + HAND_OVER_S
        while waiting and time.monotonic() < deadline_s and not self._stopped.is_set():
            waiting -= {stream for stream in waiting if standbys[stream].take_over(stream, new.liveness)}
            if waiting:
                await new.news(HAND_OVER_TICK_S)
        for stream in waiting:
            standbys[stream].stand_in(stream, old.liveness.heard_ns)
        self._connections.remove(old)
        old.stop()

    def _again(self, stream: BookStream) -> BookStream:
        """Make a second stream of the same kind that stores nothing yet."""
        assert self._markets is not None  # noqa: S101  (loaded before anything was connected)
        market = self._markets.by_symbol[stream.key.symbol]
        return self._stream(stream.place.kind, market, stream.key.channel, standby=True)

    def _start(self, connection: Connection) -> None:
        self._started.add(connection)
        self._running.add(asyncio.ensure_future(connection.run()))

    def add(self, names: Sequence[str], channels: Sequence[str]) -> list[StreamKey]:
        """Collect these markets as well; returns the new streams. A bad name is told in `refused`."""
        collected = {stream.key for one in self._connections for stream in one.subscriptions.streams}
        new: list[StreamKey] = []
        for kind, market in self._find(names):
            for channel in channels:
                stream = self._stream(kind, market, channel)
                if stream.key not in collected:
                    self._place(kind, stream)
                    collected.add(stream.key)
                    new.append(stream.key)
        for connection in self._connections:
            if connection not in self._started and not self._stopped.is_set():
                self._start(connection)
        return new

    def remove(self, names: Sequence[str]) -> list[StreamKey]:
        """Collect these markets no longer; returns the streams that ended. The others notice nothing."""
        symbols = {market["symbol"] for _, market in self._find(names)}
        ended: list[StreamKey] = []
        for connection in self._connections:
            for stream in connection.subscriptions.streams:
                if stream.key.symbol in symbols:
                    connection.subscriptions.remove(stream)
                    ended.append(stream.key)
        return ended

    def stop(self) -> None:
        """Ask all connections to end."""
        self._stopped.set()
        for connection in self._connections:
            connection.stop()

    @property
    def exchange(self) -> str:
        """Name the exchange."""
        return self._wanted.source.exchange

    @property
    def ready(self) -> bool:
        """Say whether the markets are known, so that streams can be added and removed."""
        return self._markets is not None

    def glances(self) -> list[Glance]:
        """Show every stream as it stands. Call it in the websocket thread."""
        return [stream.glance() for one in self._connections for stream in one.subscriptions.streams]

    @property
    def refused(self) -> list[str]:
        """Tell, in words, what was asked for and is not to be had."""
        return [
            *self._bad_symbols,
            *(text for one in self._connections for text in one.subscriptions.refused),
        ]

    async def _load_markets(self) -> Markets | None:
        """Ask until there is an answer; None when stopped before."""
        attempt = 0
        while not self._stopped.is_set():
            loading = in_thread(
                "markets", lambda: load_markets(self._wanted.source, self._limits.markets_timeout_s)
            )
            await self._until_stopped_or(loading)
            if loading.cancelled() or not loading.done():
                break
            try:
                return loading.result()
            except StreamError as error:
                attempt += 1
                self._halt("markets", f"attempt {attempt}: {error}")
                if error.permanent:
                    self._bad_symbols.append(f"{self.exchange}: {error}")
                    break
                wait_s = max(error.retry_after_s or 0.0, self._limits.pace.backoff.wait_s(attempt))
            await self._until_stopped_or(asyncio.create_task(asyncio.sleep(wait_s)))
        return None

    async def _until_stopped_or(self, waited_for: "asyncio.Future[Any]") -> None:
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait({stopped, waited_for}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        waited_for.cancel()

    def _find(self, names: Sequence[str]) -> list[tuple[Kind, Any]]:
        """Return the markets that the names mean, each once, with its kind."""
        assert self._markets is not None  # noqa: S101  (loaded before anything is looked up)
        source = self._wanted.source
        found: dict[str, tuple[Kind, Any]] = {}
        for name in names:
            try:
                market = self._markets.find(name)
                kind = _kind_of(market, source.kinds)
            except UserError as error:
                self._bad_symbols.append(f"{source.exchange}: {error}")
                self._halt("bad_symbol", str(error), name)
            else:
                found[market["symbol"]] = kind, market
        return list(found.values())

    def _place(self, kind: Kind, stream: BookStream) -> None:
        """Put a stream on a connection with room, where frames can be told apart; or on a new one."""
        of_kind = [one for one in self._connections if one.address.kind == kind]
        for connection in of_kind:
            if not connection.stopping and connection.subscriptions.has_room_for(stream):
                connection.subscriptions.add(stream)
                return
        self._connections.append(self._connection(kind, self._connection_number, [stream]))
        self._connection_number += 1

    def _stream(self, kind: Kind, market: Any, channel: str, *, standby: bool = False) -> BookStream:
        protocol, exchange = EXCHANGES[self._wanted.source.exchange], self._wanted.source.exchange
        topic = protocol.topic(market["id"], market["symbol"], channel)
        depth = depth_of(channel)
        rule = protocol.rule(kind, channel, market)
        book: VerifiedBook
        if protocol.rest is not None and channel.startswith("book."):
            rest_depth = protocol.rest.depth(kind, depth)
            book = BridgedBook(cast("BridgingRule", rule), rest_depth)
        else:
            book = VerifiedBook(rule, depth)
        return BookStream(
            StreamKey(exchange, market["symbol"], channel),
            Place(topic, protocol.route(topic), market["id"], kind, depth),
            book,
            self._buffer,
            levels_per_row=self._limits.levels_per_row,
            new_segment_id=self._new_segment_id,
            events=self._events,
            standby=standby,
        )

    def _connection(self, kind: Kind, number: int, streams: list[BookStream]) -> Connection:
        source, limits = self._wanted.source, self._limits
        assert self._markets is not None  # noqa: S101  (loaded before anything is connected)
        pace = limits.pace
        urls = dialled(source.exchange, source.environment, source.endpoints, (kind,))
        return Connection(
            Address(
                source.exchange,
                kind,
                f"{source.exchange}.{kind}.{number}",
                next(url for url in urls if url.startswith("ws")),
            ),
            source,
            self._markets,
            EXCHANGES[source.exchange],
            streams,
            pace=pace,
            clock=self._clock,
            events=self._events,
            unknown=self._unknown,
            resyncs=Resyncs(
                backoff=pace.backoff,
                snapshot_timeout_s=pace.subscribe_timeout_s,
                stale_after_s=pace.stale_after_s,
                max_mismatches=limits.max_mismatches,
                mismatch_window_s=limits.mismatch_window_s,
            ),
            snapshots=self._snapshots,
        )

    def _halt(self, code: str, reason: str, symbol: str | None = None) -> None:
        self._events.publish(
            PotentialHalt(self._wanted.source.exchange, code, reason, self._clock.now_ns(), symbol)
        )


def _kind_of(market: Any, kinds: Sequence[Kind]) -> Kind:
    for kind in kinds:
        if market.get(kind):
            return kind
    raise UserError(f"symbol {market['symbol']!r} is a market of a kind that is not collected from there")
