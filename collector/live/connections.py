"""Hold one exchange's connections: which stream goes on which, and when they start."""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from collector.clock import Clock
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.events.notices import PotentialHalt
from collector.exchanges.addresses import websocket
from collector.exchanges.exchange import MarketKind, WebsocketLimits, kind_of
from collector.exchanges.registry import exchange_of
from collector.live.connection import Address, Connection, Pace
from collector.live.resync import Resyncs
from collector.live.unverified.connection import UnifiedConnection
from collector.network.failures import Failure
from collector.network.markets import Markets, Source
from collector.network.pacing import at_most
from collector.network.snapshots import Snapshots
from collector.network.turnstile import Turnstile
from collector.streams.router import UnknownFrames
from collector.streams.stream import Stream

Topics = Iterable[tuple[str, StreamKey]]  # what is subscribed, and the stream that it is for


def fits(present: Topics, topic: str, key: StreamKey, limits: WebsocketLimits, most_a_second: float) -> bool:
    """Say whether a topic has room beside those present; the only one always has."""
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
class Common:
    """What all connections of one exchange share."""

    source: Source
    markets: Markets
    pace: Pace
    clock: Clock
    events: EventBus
    unknown: UnknownFrames
    snapshots: Snapshots | None
    new_resyncs: Callable[[], Resyncs]


class Connections:
    """The connections of one exchange. Lives in the websocket thread's loop."""

    def __init__(self, common: Common, on_end: Callable[[], None]) -> None:
        self.connections: list[Connection] = []
        self.refused: list[str] = []  # what no connection brings any more, in words
        self._common = common
        self._on_end = on_end
        self._protocol = exchange_of(common.source.exchange)
        limits = at_most(self._protocol.limits.connects, common.pace.connects_a_second)
        self._connects = Turnstile(*limits)
        self._started: set[Connection] = set()
        self._running: set[asyncio.Future[None]] = set()
        self._numbers = itertools.count()

    @property
    def streams(self) -> list[Stream]:
        """List what is collected."""
        return [stream for one in self.connections for stream in one.subscriptions.streams]

    def place(self, stream: Stream) -> None:
        """Put a stream on a connection with room, where frames can be told apart; or on a new one."""
        url = self._url(stream)
        for connection in self.connections:
            is_there = connection.address.url == url and not (connection.stopping or connection.is_leaving)
            if is_there and self._fits(stream, connection):
                connection.subscriptions.add(stream)
                return
        self.new(stream.place.kind, url, [stream])

    def new(self, kind: MarketKind, url: str, streams: list[Stream]) -> Connection:
        """Make a connection for these streams; it waits to be started."""
        common = self._common
        source = common.source
        name = f"{source.exchange}.{kind}.{next(self._numbers)}"
        kind_of_connection = Connection if self._protocol.is_verified else UnifiedConnection
        connection = kind_of_connection(
            Address(source.exchange, kind, name, url),
            source,
            common.markets,
            self._protocol,
            streams,
            pace=common.pace,
            connects=self._connects,
            on_refused=self._refused,
            clock=common.clock,
            events=common.events,
            unknown=common.unknown,
            resyncs=common.new_resyncs(),
            snapshots=common.snapshots,
        )
        self.connections.append(connection)
        return connection

    def start(self) -> None:
        """Start the connections that do not run yet."""
        for connection in self.connections:
            if connection not in self._started:
                self._started.add(connection)
                self._running.add(asyncio.ensure_future(connection.run()))

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
        source, kind = self._common.source, stream.place.kind
        channel = stream.key.channel
        return websocket(source.exchange, source.environment, source.endpoints, kind, channel)

    def _fits(self, stream: Stream, connection: Connection) -> bool:
        """Say whether a connection has room for a stream, and tells its frames from the others'."""
        present = ((one.topic, one.key) for one in connection.subscriptions.streams)
        most_a_second = self._common.pace.messages_a_connection
        room = fits(present, stream.topic, stream.key, self._protocol.limits, most_a_second)
        return room and connection.subscriptions.tells_apart(stream)

    def _refused(self, connection: Connection, failure: Failure) -> None:
        """Stop what the exchange refuses for good: that connection, or all when none stands."""
        exchange = self._common.source.exchange
        others = [one for one in self.connections if one is not connection and one.age_s > 0]
        streams = connection.subscriptions.streams if others else self.streams
        what = ", ".join(f"{one.key.symbol} {one.key.channel}" for one in streams) if others else "everything"
        words = f"{exchange}: {what} refused for good by {connection.address.url}: {failure}"
        self.refused.append(words)
        self._common.events.publish(
            PotentialHalt(exchange, "connection_refused", words, self._common.clock.now_ns())
        )
        if others:
            self.connections.remove(connection)
        else:
            self._on_end()

    async def ended(self) -> None:
        """Wait until no connection runs any more."""
        await asyncio.gather(*self._running)
