"""Hold one exchange's connections: which stream goes on which, and when they start."""

import asyncio
import itertools
import time
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from collector.book import Kernel
from collector.clock import Clock
from collector.events import EventBus, Liveness, PotentialHalt, StreamKey
from collector.exchanges import MarketKind, WebsocketLimits, exchange_of, kind_of, websocket
from collector.live.connection import Connection, Parts
from collector.live.context import Address, ConnectionContext
from collector.live.limits import Pace
from collector.live.put_off import PutOff, PutOffStreams
from collector.live.refusals import RefusedStreams
from collector.live.requests import ControlMessages, Requests
from collector.live.resync import Resyncs
from collector.live.topic_subscriptions import TopicSubscriptions
from collector.live.unverified import UnverifiedBooks, UnverifiedSocket
from collector.network import (
    Attempts,
    Heart,
    Markets,
    Pacer,
    Pushes,
    Snapshots,
    Socket,
    Source,
    Turnstile,
    at_most,
    mistake_in_words,
    requests_at_most,
)
from collector.streams import RETIRED, Router, Stream, UnknownFrames

RESTART_S = 1.0  # after a fault that ended a connection

Topics = Iterable[tuple[str, StreamKey]]  # what is subscribed, and the stream that it is for


def fits(present: Topics, topic: str, key: StreamKey, limits: WebsocketLimits, most_a_second: float) -> bool:
    """Return whether a topic has room beside those present; the first one always has."""
    count, characters, a_second = 0, 0, 0.0
    for name, one in present:
        count += 1
        characters += len(name)
        a_second += limits.expected_a_second(one.channel, kind_of(one.symbol))
    if count == 0:
        return True
    within_count = count < limits.topics
    within_characters = limits.characters is None or characters + len(topic) <= limits.characters
    a_second += limits.expected_a_second(key.channel, kind_of(key.symbol))
    return within_count and within_characters and a_second <= most_a_second


@dataclass(frozen=True, slots=True)
class ExchangeContext:
    """What all connections of one exchange share."""

    source: Source
    markets: Markets
    pace: Pace
    clock: Clock
    events: EventBus
    unknown: UnknownFrames
    snapshots: Snapshots | None
    new_resyncs: Callable[[], Resyncs]
    kernel: Kernel | None = None


def verified_parts(shared: ExchangeContext, context: ConnectionContext, streams: Sequence[Stream]) -> Parts:
    """Build the parts of a connection whose frames we read ourselves."""
    pace, protocol = shared.pace, context.protocol
    socket = Socket(
        shared.source, shared.markets, context.address.url, pace.connect_timeout_s, _pacer(shared, context)
    )
    requests = Requests(socket.send, pace.subscribe_timeout_s)

    def on_pong() -> None:
        heart.ponged()

    control = ControlMessages(context, requests, socket.give_up, on_pong)
    kind, kernel = context.address.kind, shared.kernel
    shape = protocol.kernel_shapes.get(kind)
    compiled = None if kernel is None or shape is None else kernel.new_frame(shape).read
    read_next = compiled or protocol.read_next(kind)
    router = Router(protocol.read_frame, shared.unknown, context.liveness, control, read_next)
    subscriptions = TopicSubscriptions(
        streams,
        context,
        shared.new_resyncs(),
        requests,
        router,
        shared.snapshots,
        PutOffStreams(context, PutOff(pace.backoff, pace.refused_wait_s, pace.max_reconnect_attempts)),
    )

    async def beat() -> bool:
        if protocol.topics.ping is None:
            await socket.ping()
        else:
            ping = protocol.topics.ping(requests.new_id())
            await socket.send(ping, is_counted=protocol.limits.counts_pings)
        return True

    heart = Heart(pace.heartbeat_s, beat, context.monotonic_s, _pushes(context, subscriptions))
    return Parts(socket, heart, subscriptions, router.take, shared.unknown.count)


def _pushes(context: ConnectionContext, subscriptions: TopicSubscriptions) -> Pushes | None:
    """Return what the exchange pushes at all times; None where nothing of the kind is documented."""
    within_s = context.protocol.pushes_within_s
    if within_s is None:
        return None

    def on_none(since_s: float) -> None:
        """Take back the signs of life that only pongs gave: coverage ends with the last push."""
        context.liveness.heard_ns = context.clock.now_ns() - int(since_s * 1e9)

    return Pushes(within_s, lambda: bool(subscriptions.streams), on_none)


def unverified_parts(shared: ExchangeContext, context: ConnectionContext, streams: Sequence[Stream]) -> Parts:
    """Build the parts of a connection whose frames ccxt reads; ccxt fetches the snapshots that it needs."""
    pace = shared.pace
    socket = UnverifiedSocket(shared.source, shared.markets, pace.connect_timeout_s, _pacer(shared, context))
    books = UnverifiedBooks(streams, context, shared.new_resyncs(), socket, pace.backoff)

    async def beat() -> bool:
        await socket.ping()
        return books.watching  # else there is no socket that could be silent

    return Parts(
        socket,
        Heart(pace.heartbeat_s, beat, context.monotonic_s),
        books,
        books.take_frame,
        shared.unknown.count,
    )


def _pacer(shared: ExchangeContext, context: ConnectionContext) -> Pacer:
    documented = context.protocol.limits.requests[context.address.kind]
    return Pacer(requests_at_most(documented, shared.pace.requests_a_second), context.monotonic_s)


class Connections:
    """The connections of one exchange. Lives in the websocket thread's loop."""

    def __init__(self, context: ExchangeContext) -> None:
        self.connections: list[Connection] = []
        self.refused_streams = RefusedStreams()  # what is refused topic by topic
        self._context = context
        self._protocol = exchange_of(context.source.exchange)
        limits = at_most(self._protocol.limits.connects, context.pace.connects_a_second)
        self._connects = Turnstile(*limits)
        self._running: dict[Connection, asyncio.Task[None]] = {}
        self._numbers = itertools.count()

    @property
    def streams(self) -> list[Stream]:
        """Return what is collected."""
        return [stream for one in self.connections for stream in one.subscriptions.streams]

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is collected, and nothing will be: no stream is left, or all gave up."""
        return not self.streams or all(one.is_over for one in self.connections if one.subscriptions.streams)

    @property
    def refused(self) -> list[str]:
        """Return what the exchange refuses now, in words: whole connections, and streams."""
        whole = [one.refusal for one in self.connections if one.refusal is not None]
        return [*whole, *self.refused_streams.words]

    def place(self, stream: Stream) -> None:
        """Collect a stream, also one that was refused before."""
        self.refused_streams.accepted(stream.key)
        self._place(stream)

    def retry_refused(self) -> None:
        """Ask once more for the streams refused for good: what markets there are may have changed."""
        for stream in self.refused_streams.take_given_up(one.key for one in self.streams):
            self._place(stream)
        self.start()

    def clock_stepped(self, step_ns: int) -> None:
        """End all segments on the clock of before, and begin new ones on the new clock."""
        detail, covered = f"{step_ns / 1e9:+.3f} s", list[Stream]()
        for connection in self.connections:
            for stream in connection.subscriptions.streams:
                if stream.end_at_step(step_ns, connection.liveness.heard_ns, detail):
                    covered.append(stream)
            connection.liveness.heard_ns += step_ns
        now_ns = self._context.clock.now_ns()
        for stream in covered:
            stream.begin_after_step(now_ns)

    def _place(self, stream: Stream) -> None:
        """Put a stream on a connection with room that can tell its frames apart, or on a new one."""
        url = self._url(stream)
        for connection in self.connections:
            is_kept = not (connection.stopping or connection.is_leaving or connection.is_over)
            if is_kept and connection.address.url == url and self._fits(stream, connection):
                connection.subscriptions.add(stream)
                return
        self.new(stream.topic.kind, url, [stream])

    def new_beside(self, old: Connection, streams: list[Stream]) -> Connection:
        """Make a connection that may replace another; nothing else is put on it until it does."""
        address = old.address
        connection = self.new(address.kind, address.url, streams, refused_code="replacement_refused")
        connection.is_leaving = True
        return connection

    def new(
        self,
        kind: MarketKind,
        url: str,
        streams: list[Stream],
        refused_code: str = "connection_refused",
    ) -> Connection:
        """Make a connection for these streams; it waits to be started."""
        source, pace = self._context.source, self._context.pace
        name = f"{source.exchange}.{kind}.{next(self._numbers)}"
        context = ConnectionContext(
            Address(source.exchange, kind, name, url),
            self._protocol,
            self._context.clock,
            self._context.events,
            time.monotonic,
            Liveness(connection=name),
            refused=self.refused_streams,
        )
        make_parts = verified_parts if self._protocol.is_verified else unverified_parts
        connection = Connection(
            context,
            make_parts(self._context, context, streams),
            connects=self._connects,
            attempts=Attempts(
                pace.backoff,
                pace.refused_wait_s,
                host_is_known=source.endpoints.ws is None,
                rest=pace.rest,
            ),
            alarm_after_attempts=pace.max_reconnect_attempts,
            refused_code=refused_code,
        )
        self.connections.append(connection)
        return connection

    def start(self) -> None:
        """Start the connections that do not run yet."""
        for connection in self.connections:
            if connection not in self._running and not (connection.stopping or connection.is_over):
                task = self._running[connection] = asyncio.ensure_future(connection.run())
                task.add_done_callback(partial(self._ran, connection))

    def _ran(self, connection: Connection, task: asyncio.Task[None]) -> None:
        """Let go of a connection that ended; report at once a fault that ended it, and start it again."""
        del self._running[connection]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            source, now_ns = self._context.source, self._context.clock.now_ns()
            words = f"{connection.address.name}: {mistake_in_words(error)}"
            self._context.events.publish(PotentialHalt(source.exchange, "internal_error", words, now_ns))
            if not connection.stopping:
                connection.subscriptions.lose_all("disconnect", words)
                asyncio.get_running_loop().call_later(RESTART_S, self.start)

    def remove(self, symbols: Container[str | None], cause: str = RETIRED) -> list[StreamKey]:
        """Stop collecting markets, for a cause; return the streams that ended."""
        ended: list[StreamKey] = []
        for connection in self.connections:
            for stream in connection.subscriptions.streams:
                if stream.key.symbol in symbols:
                    connection.subscriptions.remove(stream, cause)
                    ended.append(stream.key)
        return ended

    def retire(self, connection: Connection) -> None:
        """Stop a connection whose streams are collected elsewhere, or no longer."""
        if connection in self.connections:
            self.connections.remove(connection)
        connection.stop()

    def stop(self) -> None:
        """Ask all connections to end."""
        for connection in self.connections:
            connection.stop()

    def _url(self, stream: Stream) -> str:
        source, kind = self._context.source, stream.topic.kind
        channel = stream.key.channel
        return websocket(source.exchange, source.environment, source.endpoints, kind, channel)

    def _fits(self, stream: Stream, connection: Connection) -> bool:
        """Return whether a connection has room for a stream, and tells its frames from the others'."""
        present = ((one.topic.name, one.key) for one in connection.subscriptions.streams)
        most_a_second = self._context.pace.messages_a_connection
        room = fits(present, stream.topic.name, stream.key, self._protocol.limits, most_a_second)
        return room and connection.subscriptions.tells_apart(stream)

    async def ended(self) -> None:
        """Wait until no connection runs any more, however each ended."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)
