"""Run one exchange: markets, then a connection for each kind of market, each with its books."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from collector.book.verified import VerifiedBook
from collector.buffer.buffer import Buffer
from collector.clock import Clock
from collector.errors import StreamError, UserError
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.events.notices import PotentialHalt
from collector.exchanges.protocol import EXCHANGES
from collector.exchanges.venues import dialled
from collector.stream.book_stream import BookStream
from collector.stream.connection import Address, Connection, Pace
from collector.stream.markets import Markets, Source, load_markets
from collector.stream.resync import Resyncs
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
        self._stopped = asyncio.Event()
        self._bad_symbols: list[str] = []

    async def run(self) -> None:
        """Collect until stopped."""
        markets = await self._load_markets()
        if markets is None:
            return
        found = self._find(markets)
        for kind in self._wanted.source.kinds:
            some = [market for market in found if market[kind]]
            if some and not self._stopped.is_set():
                self._connections.append(self._connection(kind, some, markets))
        await asyncio.gather(*(connection.run() for connection in self._connections))

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

    def _connection(self, kind: Any, some: list[Any], markets: Markets) -> Connection:
        source, limits = self._wanted.source, self._limits
        exchange = source.exchange
        protocol = EXCHANGES[exchange]
        streams = [
            BookStream(
                StreamKey(exchange, market["symbol"], channel),
                protocol.book_topic(market["id"], depth),
                VerifiedBook(protocol.Continuity(depth), depth),
                self._buffer,
                levels_per_row=limits.levels_per_row,
                new_segment_id=self._new_segment_id,
                events=self._events,
            )
            for market in some
            for channel in self._wanted.channels
            for depth in [book_depth(channel)]
        ]
        pace = limits.pace
        urls = dialled(exchange, source.environment, source.endpoints, (kind,))
        return Connection(
            Address(exchange, f"{exchange}.{kind}.0", next(url for url in urls if url.startswith("ws"))),
            source,
            markets,
            protocol,
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


def book_depth(channel: str) -> int:
    """Read the depth out of a channel's name: 50 of `book.50`."""
    family, _, depth = channel.partition(".")
    if family != "book":
        raise ValueError(f"{channel} is no order book")
    return int(depth)
