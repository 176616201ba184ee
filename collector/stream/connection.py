"""Keep one websocket connection alive: dial, watch, give up, dial again."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from collector.clock import Clock
from collector.errors import FrameError, StreamError
from collector.events.batch import Liveness
from collector.events.bus import EventBus
from collector.events.messages import Ack, Delta, Other, Snapshot, Status, TopOfBook
from collector.events.notices import State, SystemState
from collector.exchanges.protocol import Exchange, Payload
from collector.exchanges.venues import Kind
from collector.retry import Backoff
from collector.stream.book_stream import BookStream
from collector.stream.markets import Markets, Source
from collector.stream.requests import Requests
from collector.stream.resync import Resyncs
from collector.stream.snapshots import Snapshots
from collector.stream.subscriptions import Subscriptions, Surroundings
from collector.stream.tap import dialler
from collector.stream.unknown import UnknownFrames
from collector.stream.waiting import first

BOOK_MESSAGES = (Delta, Snapshot, TopOfBook)
TICK_S = 0.2  # how often the watchdogs look; what they measure is in settings
SILENT_HEARTBEATS = 2.0  # no frame at all for this many heartbeats: the peer is gone
CLOSE_TIMEOUT_S = 1.0
STABLE_AFTER_S = 30.0  # a connection that lived this long starts its backoff from the beginning


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things may take."""

    connect_timeout_s: float
    subscribe_timeout_s: float
    stale_after_s: float
    heartbeat_s: float
    backoff: Backoff
    max_reconnect_attempts: int


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, as what."""

    exchange: str
    kind: Kind
    name: str  # of the connection, in logs and events
    url: str


class Connection:
    """One socket from its dial to its end, over and over. Lives in the websocket thread's loop."""

    def __init__(
        self,
        address: Address,
        source: Source,
        markets: Markets,
        protocol: Exchange,
        streams: list[BookStream],
        *,
        pace: Pace,
        clock: Clock,
        events: EventBus,
        unknown: UnknownFrames,
        resyncs: Resyncs,
        snapshots: Snapshots | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self.liveness = Liveness()
        self._ccxt = dialler(source, markets, pace.connect_timeout_s, self)
        self._pace = pace
        self._unknown = unknown
        self._around = Surroundings(address.exchange, protocol, clock, events, monotonic_s)
        self._requests = Requests(self._send, pace.subscribe_timeout_s)
        self._wake = asyncio.Event()
        self.subscriptions = Subscriptions(
            streams, self._around, self._requests, resyncs, snapshots, self.liveness, self._wake.set
        )
        self._client: Any = None
        self._up = asyncio.Event()
        self._news = asyncio.Event()
        self._down: str | None = None  # why the socket is gone, once it is
        self._heard_s = 0.0
        self._dialled_s: float | None = None  # since when the socket that stands now has stood
        self._stopping = False

    @property
    def age_s(self) -> float:
        """Tell how long the socket that stands now has stood; 0 when none does."""
        return 0.0 if self._dialled_s is None else self._around.monotonic_s() - self._dialled_s

    @property
    def stopping(self) -> bool:
        """Say whether it was asked to end."""
        return self._stopping

    async def news(self, timeout_s: float) -> None:
        """Wait for the next frame, or for the time to be over."""
        self._news.clear()
        await first(self._news.wait(), timeout_s=timeout_s)

    # What the tap hears. Called by ccxt within the loop; must not raise.

    def on_frame(self, client: Any, text: str) -> bool:
        """Read a frame; False when ccxt should have it as well."""
        if client is not self._client:
            return True  # a replaced socket's last words
        received_at_ns = self._around.clock.now_ns()
        ours = True
        try:
            ours = self._read(text, received_at_ns)
        except FrameError as error:
            self._unknown.count(error.reason, error.detail, text)
        except Exception as error:  # noqa: BLE001  (raised into ccxt's receive loop it would end the stream)
            self._unknown.count("internal_error", repr(error), text)
            self._go_down(f"internal error: {error!r}")
        self._heard(received_at_ns)
        self._news.set()
        return ours

    def on_heartbeat(self, client: Any) -> None:
        """Hear a ping or a pong of the websocket itself."""
        if client is self._client:
            self._heard(self._around.clock.now_ns())

    def on_up(self, client: Any) -> None:
        """Hear that the socket is open."""
        if client is self._client:
            self._up.set()

    def on_down(self, client: Any, cause: str) -> None:
        """Hear that the socket is gone."""
        if client is self._client:
            self._go_down(cause)

    # The life of the connection.

    async def run(self) -> None:
        """Connect, serve, and connect again, until stopped."""
        attempt = 0
        while not self._stopping:
            began_s = self._around.monotonic_s()
            try:
                await self._dial()
                await self._serve()
            except StreamError as error:
                self._go_down(str(error))
            except Exception as error:  # noqa: BLE001  (a fault of ours must not end the stream for good)
                self._around.halt("internal_error", repr(error))
                self._go_down(f"internal error: {error!r}")
            await self._let_go()
            attempt = 0 if self._around.monotonic_s() - began_s > STABLE_AFTER_S else attempt + 1
            if attempt == self._pace.max_reconnect_attempts:
                self._around.halt("unreachable", f"{attempt} attempts to connect failed; tries go on")
            await self._pause(self._pace.backoff.wait_s(max(attempt - 1, 0)))
        await self._ccxt.close()

    def stop(self) -> None:
        """Ask the connection to end. Its books' segments close now, at what was heard last."""
        self._stopping = True
        self.subscriptions.lose_all("stop", "")
        self._go_down("stopped")

    async def _dial(self) -> None:
        self._down = None
        self._up.clear()
        self._ccxt.open()
        self._client = self._ccxt.client(self.address.url)
        self._heard_s = self._around.monotonic_s()
        self._client.connect(self._ccxt.session, 0)
        deadline_s = self._around.monotonic_s() + self._pace.connect_timeout_s
        while not self._up.is_set():
            self._wake.clear()
            if self._down is not None:
                raise StreamError(self._down)
            left_s = deadline_s - self._around.monotonic_s()
            if left_s <= 0:
                raise StreamError(f"no connection within {self._pace.connect_timeout_s:g} s")
            await first(self._up.wait(), self._wake.wait(), timeout_s=left_s)
        self._dialled_s = self._around.monotonic_s()
        self._publish(State.CONNECTED)

    async def _serve(self) -> None:
        """Subscribe, then see to what is owed, until the socket is gone."""
        watchdog = asyncio.create_task(self._watch())
        try:
            await self.subscriptions.begin()
            while self._down is None:
                self._wake.clear()
                await self.subscriptions.go_on()
                if self._down is None:
                    await first(self._wake.wait(), timeout_s=TICK_S)
        finally:
            watchdog.cancel()

    async def _watch(self) -> None:
        """Keep the heart beating, and give up a connection that does not answer."""
        heartbeat_s = self._pace.heartbeat_s
        next_ping_s = self._around.monotonic_s() + heartbeat_s
        while self._down is None:
            now_s = self._around.monotonic_s()
            if now_s - self._heard_s > SILENT_HEARTBEATS * heartbeat_s:
                self._go_down(f"silent for {now_s - self._heard_s:.1f} s: neither data nor heartbeat")
            elif now_s >= next_ping_s:
                next_ping_s = now_s + heartbeat_s
                try:
                    await self._ping()
                except StreamError as error:
                    self._go_down(str(error))
            await asyncio.sleep(min(TICK_S, heartbeat_s))

    async def _let_go(self) -> None:
        cause = self._down or "lost"
        self._dialled_s = None
        self.subscriptions.lose_all("disconnect", cause)
        self._requests.abandon(cause)
        client, self._client = self._client, None
        if client is not None:
            if self._ccxt.clients.get(self.address.url) is client:
                del self._ccxt.clients[self.address.url]
            # A peer that is gone answers no closing handshake; aiohttp lets go of the socket all the same.
            with suppress(TimeoutError):
                await asyncio.wait_for(client.aiohttp_close(), CLOSE_TIMEOUT_S)
        self._publish(State.STOPPED if self._stopping else State.DISCONNECTED, cause)

    # Small pieces.

    def _read(self, text: str, received_at_ns: int) -> bool:
        """Take what is ours; False when something in the frame is not."""
        ours = True
        for message in self._around.protocol.read_frame(text):
            if isinstance(message, BOOK_MESSAGES):
                book = _as_book(message) if isinstance(message, TopOfBook) else message
                if not self.subscriptions.take(book, received_at_ns):
                    raise FrameError("unknown_topic", message.topic)
            elif isinstance(message, Status):
                self._publish(State.said(message.state), message.text or message.state)
            elif isinstance(message, Ack):
                ours = self._requests.answered(message)
            elif isinstance(message, Other):
                ours = False
        return ours

    def _heard(self, received_at_ns: int) -> None:
        self._heard_s = self._around.monotonic_s()
        self.liveness.heard_ns = received_at_ns

    def _go_down(self, cause: str) -> None:
        if self._down is None:
            self._down = cause
            self._requests.abandon(cause)
        self._wake.set()

    async def _ping(self) -> None:
        make = self._around.protocol.ping
        if make is not None:
            await self._send(make(self._requests.new_id()))
            return
        try:
            await self._client.connection.ping()
        except (ConnectionError, RuntimeError) as error:
            raise StreamError(f"could not ping: {error}") from error

    async def _send(self, payload: Payload) -> None:
        if self._down is not None:
            raise StreamError(self._down)
        try:
            await self._client.send(dict(payload))
        except (ConnectionError, RuntimeError) as error:  # what aiohttp and ccxt raise into a closing socket
            raise StreamError(f"could not send: {error}") from error

    async def _pause(self, wait_s: float) -> None:
        deadline_s = self._around.monotonic_s() + wait_s
        while not self._stopping and (left_s := deadline_s - self._around.monotonic_s()) > 0:
            self._wake.clear()
            await first(self._wake.wait(), timeout_s=left_s)

    def _publish(self, state: State, cause: str = "") -> None:
        address, now_ns = self.address, self._around.clock.now_ns()
        self._around.events.publish(SystemState(address.exchange, address.name, state, now_ns, cause))


def _as_book(top: TopOfBook) -> Snapshot:
    """Read the best bid and ask as a whole book of one level."""
    bids, asks = [(top.bid_price, top.bid_size)], [(top.ask_price, top.ask_size)]
    return Snapshot(top.topic, top.sequence, top.exchange_ms, bids, asks)
