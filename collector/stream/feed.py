"""Run one exchange: markets, then a connection for each kind of market, each with its books."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from collector.book.bridged import BridgedBook, BridgingRule
from collector.book.verified import VerifiedBook
from collector.buffer.buffer import Buffer
from collector.clock import Clock
from collector.errors import StreamError, UserError
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.events.notices import PotentialHalt
from collector.exchanges.protocol import EXCHANGES, depth_of
from collector.exchanges.venues import Kind, dialled
from collector.stream.book_stream import BookStream, Place
from collector.stream.connection import Address, Connection, Pace
from collector.stream.markets import Markets, Source, load_markets
from collector.stream.resync import Resyncs
from collector.stream.snapshots import Snapshots
from collector.stream.unknown import UnknownFrames

Result = TypeVar("Result")


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
        self._snapshots: Snapshots | None = None
        self._stopped = asyncio.Event()
        self._bad_symbols: list[str] = []

    async def run(self) -> None:
        """Collect until stopped."""
        markets = await self._load_markets()
        if markets is None:
            return
        protocol, source = EXCHANGES[self._wanted.source.exchange], self._wanted.source
        if protocol.rest is not None:
            self._snapshots = Snapshots(source, markets, protocol.rest, self._limits.markets_timeout_s)
        for kind in source.kinds:
            some = [market for market in self._find(markets) if market[kind]]
            streams = [
                self._stream(kind, market, channel) for market in some for channel in self._wanted.channels
            ]
            for number, shard in enumerate(shards(streams, protocol.topics_a_connection)):
                if not self._stopped.is_set():
                    self._connections.append(self._connection(kind, number, shard, markets))
        await asyncio.gather(*(connection.run() for connection in self._connections))
        if self._snapshots is not None:
            await self._snapshots.close()

    def stop(self) -> None:
        """Ask all connections to end."""
        self._stopped.set()
        for connection in self._connections:
            connection.stop()

    @property
    def refused(self) -> list[str]:
        """Tell, in words, what was asked for and is not to be had."""
        return [*self._bad_symbols, *(text for one in self._connections for text in one.refused)]

    async def _load_markets(self) -> Markets | None:
        """Ask until there is an answer; None when stopped before."""
        attempt = 0
        while not self._stopped.is_set():
            loading = _in_thread(lambda: load_markets(self._wanted.source, self._limits.markets_timeout_s))
            await self._until_stopped_or(loading)
            if not loading.done():
                break
            try:
                return loading.result()
            except StreamError as error:
                attempt += 1
                self._halt("markets", f"attempt {attempt}: {error}")
            await self._until_stopped_or(
                asyncio.create_task(asyncio.sleep(self._limits.pace.backoff.wait_s(attempt)))
            )
        return None

    async def _until_stopped_or(self, waited_for: "asyncio.Future[Any]") -> None:
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait({stopped, waited_for}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        waited_for.cancel()

    def _find(self, markets: Markets) -> list[Any]:
        found: dict[str, Any] = {}
        for name in self._wanted.symbols:
            try:
                market = markets.find(name)
            except UserError as error:
                self._bad_symbols.append(f"{self._wanted.source.exchange}: {error}")
                self._halt("bad_symbol", str(error), name)
            else:
                found[market["symbol"]] = market
        return list(found.values())

    def _stream(self, kind: Kind, market: Any, channel: str) -> BookStream:
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
        )

    def _connection(self, kind: Kind, number: int, streams: list[BookStream], markets: Markets) -> Connection:
        source, limits = self._wanted.source, self._limits
        pace = limits.pace
        urls = dialled(source.exchange, source.environment, source.endpoints, (kind,))
        return Connection(
            Address(
                source.exchange,
                f"{source.exchange}.{kind}.{number}",
                next(url for url in urls if url.startswith("ws")),
            ),
            source,
            markets,
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


def _in_thread(work: Callable[[], Result]) -> "asyncio.Future[Result]":
    """Run blocking work in a thread that holds up nobody's end, unlike one of the loop's own."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Result] = loop.create_future()

    def settle(set_it: Callable[[Any], None], value: Any) -> None:
        if not answer.done():
            set_it(value)

    def run() -> None:
        set_it: Callable[[Any], None]
        value: Any
        try:
            set_it, value = answer.set_result, work()
        except Exception as error:  # noqa: BLE001  (handed to whoever waits)
            set_it, value = answer.set_exception, error
        with suppress(RuntimeError):  # the loop ended meanwhile: nobody waits
            loop.call_soon_threadsafe(settle, set_it, value)

    threading.Thread(target=run, name="markets", daemon=True).start()
    return answer


def shards(streams: Sequence[BookStream], most: int) -> list[list[BookStream]]:
    """Spread streams over connections: at most `most` on one, and no two that frames could not tell apart."""
    found: list[tuple[list[BookStream], set[str]]] = []
    for stream in streams:
        route = stream.place.route
        for shard, routes in found:
            if len(shard) < most and route not in routes:
                shard.append(stream)
                routes.add(route)
                break
        else:
            found.append(([stream], {route}))
    return [shard for shard, _ in found]
