"""Keep one websocket connection alive, its topics subscribed and its books verified."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from collector.book.verified import Did
from collector.clock import Clock
from collector.errors import FrameError, StreamError
from collector.events.batch import Liveness
from collector.events.bus import EventBus
from collector.events.messages import Ack, Delta, Other, Snapshot, Status, TopOfBook
from collector.events.notices import PotentialHalt, SnapshotFailed, State, SystemState
from collector.exchanges.protocol import Exchange, Payload
from collector.exchanges.venues import Kind, apply_environment
from collector.retry import Backoff
from collector.stream.book_stream import BookStream
from collector.stream.markets import Markets, Source
from collector.stream.requests import Requests
from collector.stream.resync import Resyncs
from collector.stream.snapshots import Snapshots
from collector.stream.tap import Tap, tapped
from collector.stream.unknown import UnknownFrames

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
        self.refused: list[str] = []  # streams that the exchange will not give, in words
        self._ccxt = _dialler(source, markets, pace, self)
        self._protocol = protocol
        self._streams = {stream.topic: stream for stream in streams}
        self._routes = {stream.place.route: stream for stream in streams}
        self._pace = pace
        self._clock = clock
        self._events = events
        self._unknown = unknown
        self._resyncs = resyncs
        self._snapshots = snapshots
        self._fetches: set[asyncio.Task[None]] = set()
        self._to_subscribe: list[str] = []
        self._to_leave: list[BookStream] = []
        self._monotonic_s = monotonic_s
        self._requests = Requests(self._send, pace.subscribe_timeout_s)
        self._client: Any = None
        self._up = asyncio.Event()
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self._down: str | None = None  # why the socket is gone, once it is
        self._heard_s = 0.0
        self._dialled_s: float | None = None  # when the socket that stands now was asked for
        self._stopping = False

    @property
    def kind(self) -> Kind:
        """Tell which kind of market it is for."""
        return self.address.kind

    @property
    def age_s(self) -> float:
        """Tell how long the socket that stands now has stood; 0 when none does."""
        return 0.0 if self._dialled_s is None else self._monotonic_s() - self._dialled_s

    @property
    def streams(self) -> list[BookStream]:
        """List what is collected on it."""
        return list(self._streams.values())

    async def news(self, timeout_s: float) -> None:
        """Wait for the next frame, or for the time to be over."""
        self._news.clear()
        await _first(self._news.wait(), timeout_s=timeout_s)

    def has_room_for(self, stream: BookStream) -> bool:
        """Say whether a stream could be added, its frames told apart from the others'."""
        routes = len(self._routes) < self._protocol.topics_a_connection
        return routes and stream.place.route not in self._routes and not self._stopping

    def add(self, stream: BookStream) -> None:
        """Collect a stream as well; the others notice nothing."""
        self._streams[stream.topic] = stream
        self._routes[stream.place.route] = stream
        self._to_subscribe.append(stream.topic)
        self._wake.set()

    def remove(self, stream: BookStream) -> None:
        """Collect a stream no longer; what still comes of it is counted and not stored."""
        del self._streams[stream.topic]
        self._resyncs.forget(stream.topic)
        stream.retire(self.liveness.heard_ns)
        self._to_leave.append(stream)
        self._wake.set()

    # What the tap hears. Called by ccxt within the loop; must not raise.

    def on_frame(self, client: Any, text: str) -> bool:
        """Read a frame; False when ccxt should have it as well."""
        if client is not self._client:
            return True  # a replaced socket's last words
        received_at_ns = self._clock.now_ns()
        try:
            leave_it = self._read(text, received_at_ns)
        except FrameError as error:
            self._unknown.count(error.reason, error.detail, text)
            leave_it = False
        except Exception as error:  # noqa: BLE001  (raised into ccxt's receive loop it would end the stream)
            self._unknown.count("internal_error", repr(error), text)
            self._go_down(f"internal error: {error!r}")
            leave_it = False
        self._heard_s = self._monotonic_s()
        self.liveness.heard_ns = received_at_ns
        self._news.set()
        return not leave_it

    def _heard(self) -> None:
        self._heard_s = self._monotonic_s()
        self.liveness.heard_ns = self._clock.now_ns()

    def on_heartbeat(self, client: Any) -> None:
        """Hear a ping or a pong of the websocket itself."""
        if client is self._client:
            self._heard()

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
            began_s = self._monotonic_s()
            try:
                await self._dial()
                await self._serve()
            except StreamError as error:
                self._go_down(str(error))
            await self._let_go()
            attempt = 0 if self._monotonic_s() - began_s > STABLE_AFTER_S else attempt + 1
            if attempt == self._pace.max_reconnect_attempts:
                self._halt("unreachable", f"{attempt} attempts to connect failed; tries go on")
            await self._pause(self._pace.backoff.wait_s(max(attempt - 1, 0)))
        await self._ccxt.close()

    def stop(self) -> None:
        """Ask the connection to end. Its books' segments close now, at what was heard last."""
        self._stopping = True
        self._end_segments("stop", "")
        self._go_down("stopped")

    async def _dial(self) -> None:
        self._down = None
        self._up.clear()
        self._ccxt.open()
        self._client = self._ccxt.client(self.address.url)
        self._heard_s = self._monotonic_s()
        self._client.connect(self._ccxt.session, 0)
        deadline_s = self._monotonic_s() + self._pace.connect_timeout_s
        while not self._up.is_set():
            self._wake.clear()
            if self._down is not None:
                raise StreamError(self._down)
            left_s = deadline_s - self._monotonic_s()
            if left_s <= 0:
                raise StreamError(f"no connection within {self._pace.connect_timeout_s:g} s")
            await _first(self._up.wait(), self._wake.wait(), timeout_s=left_s)
        self._dialled_s = self._monotonic_s()
        self._publish(State.CONNECTED)

    async def _serve(self) -> None:
        """Subscribe, then fetch again what needs it, until the socket is gone."""
        watchdog = asyncio.create_task(self._watch())
        try:
            self._to_subscribe.clear()
            for stream in self._to_leave:
                self._routes.pop(stream.place.route, None)
            self._to_leave.clear()
            await self._subscribe(list(self._streams))
            while self._down is None:
                self._wake.clear()
                await self._change()
                await self._refresh(self._monotonic_s())
                if self._down is None:
                    await _first(self._wake.wait(), timeout_s=TICK_S)
        finally:
            watchdog.cancel()

    async def _watch(self) -> None:
        """Keep the heart beating, and give up a connection that does not answer."""
        heartbeat_s = self._pace.heartbeat_s
        next_ping_s = self._monotonic_s() + heartbeat_s
        while self._down is None:
            now_s = self._monotonic_s()
            if now_s - self._heard_s > SILENT_HEARTBEATS * heartbeat_s:
                self._go_down(f"silent for {now_s - self._heard_s:.1f} s: neither data nor heartbeat")
            elif now_s >= next_ping_s:
                next_ping_s = now_s + heartbeat_s
                try:
                    await self._ping()
                except StreamError as error:
                    self._go_down(str(error))
            await asyncio.sleep(min(TICK_S, heartbeat_s))

    async def _change(self) -> None:
        """Subscribe what was added, leave what was removed."""
        while self._to_leave:
            stream = self._to_leave[0]
            request_id = self._requests.new_id()
            request = self._protocol.unsubscribe([stream.topic], request_id)
            await self._requests.ask(request_id, request)
            self._to_leave.pop(0)
            if self._routes.get(stream.place.route) is stream:
                del self._routes[stream.place.route]
        if self._to_subscribe:
            topics = [topic for topic in self._to_subscribe if topic in self._streams]
            self._to_subscribe.clear()
            await self._subscribe(topics)

    async def _refresh(self, now_s: float) -> None:
        """Fetch again, by a new subscription, the books that need it now."""
        now_ns = self._clock.now_ns()
        for stream in self._streams.values():
            if stream.in_question and self._resyncs.unanswered(stream, now_ns, now_s):
                stream.lose("stale", "silent, and no snapshot when asked for one", alive_until_ns=None)
        for topic in self._resyncs.due(self._streams.values(), now_ns, now_s):
            stream = self._streams[topic]
            stream.in_question = stream.verified and not stream.near_the_edge
            if stream.by_rest:
                self._resyncs.asked([topic], now_s)
                self._start_fetch(stream)
            else:
                request_id = self._requests.new_id()
                request = self._protocol.unsubscribe([topic], request_id)
                await self._requests.ask(request_id, request)
                await self._subscribe([topic])

    async def _subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe; a request refused as a whole is tried topic by topic."""
        for some in self._protocol.requests(topics):
            request_id = self._requests.new_id()
            expected = len(some) if self._protocol.answers_each_topic else 1
            request = self._protocol.subscribe(some, request_id)
            for ack in await self._requests.ask(request_id, request, expected):
                answered = some if ack.topic is None else [ack.topic]
                if ack.accepted:
                    self._accepted(answered)
                elif len(answered) > 1:
                    for topic in answered:
                        await self._subscribe([topic])
                else:
                    self._refuse(answered[0], ack)

    def _accepted(self, topics: Sequence[str]) -> None:
        by_rest = [topic for topic in topics if topic in self._streams and self._streams[topic].by_rest]
        self._resyncs.wanted(by_rest, self._monotonic_s())
        self._resyncs.asked(set(topics) - set(by_rest), self._monotonic_s())
        if by_rest:
            self._wake.set()

    def _start_fetch(self, stream: BookStream) -> None:
        stream.expect_snapshot(True)
        task = asyncio.create_task(self._fetch(stream))
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)

    async def _fetch(self, stream: BookStream) -> None:
        """Fetch a book's snapshot by REST and join the stream to it."""
        assert self._snapshots is not None  # noqa: S101  (the feed makes both or none)
        place, client = stream.place, self._client
        try:
            snapshot = await self._snapshots.fetch(place.market_id, place.kind, place.depth, place.topic)
        except StreamError as error:
            if error.permanent:
                self._refuse(place.topic, Ack(None, accepted=False, text=str(error)))
            else:
                self._resyncs.failed(place.topic, self._monotonic_s())
                self._events.publish(
                    SnapshotFailed(stream.key.exchange, stream.key.symbol, self._clock.now_ns(), str(error))
                )
            return
        finally:
            stream.expect_snapshot(False)
        if client is not self._client:
            return  # the connection that it was fetched for is gone; the next one asks for its own
        outcome = stream.take(snapshot, self._clock.now_ns(), self.liveness)
        if outcome.did is Did.BROKE:
            self._broke(stream, outcome.reason, outcome.detail)
        elif outcome.did is Did.REJECTED:
            self._resyncs.failed(place.topic, self._monotonic_s())

    def _refuse(self, topic: str, ack: Ack) -> None:
        """Stop asking for a topic that the exchange does not have; the others go on."""
        stream = self._streams.pop(topic)
        self._routes.pop(stream.place.route, None)
        stream.lose("refused", ack.text, alive_until_ns=None)
        self._resyncs.forget(topic)
        self.refused.append(
            f"{stream.key.exchange}: {stream.key.symbol} {stream.key.channel} refused: {ack.text}"
        )
        self._halt("subscription_refused", f"{topic}: {ack.text}", stream.key.symbol)

    async def _ping(self) -> None:
        if self._protocol.ping is not None:
            await self._send(self._protocol.ping(self._requests.new_id()))
            return
        try:
            await self._client.connection.ping()
        except (ConnectionError, RuntimeError) as error:
            raise StreamError(f"could not ping: {error}") from error

    async def _let_go(self) -> None:
        cause = self._down or "lost"
        self._dialled_s = None
        self._end_segments("disconnect", cause)
        self._requests.abandon(cause)
        for task in self._fetches:
            task.cancel()
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
        for each in self._protocol.read_frame(text):
            message = each
            if isinstance(message, TopOfBook):
                message = _as_book(message)
            if isinstance(message, Delta | Snapshot):
                stream = self._routes.get(message.topic)
                if stream is None:
                    raise FrameError("unknown_topic", message.topic)
                outcome = stream.take(message, received_at_ns, self.liveness)
                if outcome.did is Did.BROKE:
                    self._broke(stream, outcome.reason, outcome.detail)
            elif isinstance(message, Status):
                self._publish(State.said(message.state), message.text or message.state)
            elif isinstance(message, Ack):
                ours = self._requests.answered(message)
            elif isinstance(message, Other):
                ours = False
        return ours

    def _broke(self, stream: BookStream, reason: str, detail: str) -> None:
        if self._resyncs.broke(stream.topic, self._monotonic_s()):
            self._halt(reason, f"{stream.key.channel}: {detail}", stream.key.symbol)
        self._wake.set()

    def _go_down(self, cause: str) -> None:
        if self._down is None:
            self._down = cause
            self._requests.abandon(cause)
        self._wake.set()

    def _end_segments(self, cause: str, detail: str) -> None:
        for stream in self._streams.values():
            stream.lose(cause, detail, self.liveness.heard_ns)

    async def _send(self, payload: Payload) -> None:
        if self._down is not None:
            raise StreamError(self._down)
        try:
            await self._client.send(dict(payload))
        except (ConnectionError, RuntimeError) as error:  # what aiohttp and ccxt raise into a closing socket
            raise StreamError(f"could not send: {error}") from error

    async def _pause(self, wait_s: float) -> None:
        deadline_s = self._monotonic_s() + wait_s
        while not self._stopping and (left_s := deadline_s - self._monotonic_s()) > 0:
            self._wake.clear()
            await _first(self._wake.wait(), timeout_s=left_s)

    def _publish(self, state: State, cause: str = "") -> None:
        address = self.address
        self._events.publish(SystemState(address.exchange, address.name, state, self._clock.now_ns(), cause))

    def _halt(self, code: str, reason: str, symbol: str | None = None) -> None:
        now_ns = self._clock.now_ns()
        self._events.publish(PotentialHalt(self.address.exchange, code, reason, now_ns, symbol))


def _as_book(top: TopOfBook) -> Snapshot:
    """Read the best bid and ask as a whole book of one level."""
    bids, asks = [(top.bid_price, top.bid_size)], [(top.ask_price, top.ask_size)]
    return Snapshot(top.topic, top.sequence, top.exchange_ms, bids, asks)


def _dialler(source: Source, markets: Markets, pace: Pace, tap: Tap) -> Any:
    """Make the ccxt object that holds this connection's socket."""
    config = source.config(pace.connect_timeout_s)
    websocket = {
        "keepAlive": 0,  # ccxt's pings run on the wall clock; ours on the monotonic one
        "connectionTimeout": max(1000, int(pace.connect_timeout_s * 1000)),
        "compress": 0,  # inflating costs more than the bytes, and a bomb cannot come in
    }
    config["options"] = {**config.get("options", {}), "ws": websocket}
    exchange = tapped(source.exchange, config, tap)
    apply_environment(exchange, source.exchange, source.environment)
    exchange.set_markets(markets.by_symbol, markets.currencies)
    return exchange


async def _first(*waits: Any, timeout_s: float) -> None:
    """Wait for whichever comes first, at most `timeout_s`."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
