"""Hold one exchange's connections: which stream goes on which, and when they start."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from collector.clock import Clock
from collector.events.bus import EventBus
from collector.exchanges.protocol import EXCHANGES
from collector.exchanges.venues import Kind, dialled
from collector.stream.book_stream import BookStream
from collector.stream.connection import Address, Connection, Pace
from collector.stream.markets import Markets, Source
from collector.stream.resync import Resyncs
from collector.stream.snapshots import Snapshots
from collector.stream.unknown import UnknownFrames


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


class Fleet:
    """The connections of one exchange. Lives in the websocket thread's loop."""

    def __init__(self, common: Common) -> None:
        self.connections: list[Connection] = []
        self._common = common
        self._started: set[Connection] = set()
        self._running: set[asyncio.Future[None]] = set()
        self._numbers = itertools.count()

    @property
    def streams(self) -> list[BookStream]:
        """List what is collected."""
        return [stream for one in self.connections for stream in one.subscriptions.streams]

    def place(self, stream: BookStream) -> None:
        """Put a stream on a connection with room, where frames can be told apart; or on a new one."""
        for connection in self.connections:
            fits = connection.address.kind == stream.place.kind and not connection.stopping
            if fits and connection.subscriptions.has_room_for(stream):
                connection.subscriptions.add(stream)
                return
        self.new(stream.place.kind, [stream])

    def new(self, kind: Kind, streams: list[BookStream]) -> Connection:
        """Make a connection for these streams; it waits to be started."""
        common = self._common
        source = common.source
        urls = dialled(source.exchange, source.environment, source.endpoints, (kind,))
        name = f"{source.exchange}.{kind}.{next(self._numbers)}"
        connection = Connection(
            Address(source.exchange, kind, name, next(url for url in urls if url.startswith("ws"))),
            source,
            common.markets,
            EXCHANGES[source.exchange],
            streams,
            pace=common.pace,
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
        self.connections.remove(connection)
        connection.stop()

    def stop(self) -> None:
        """Ask all connections to end."""
        for connection in self.connections:
            connection.stop()

    async def ended(self) -> None:
        """Wait until no connection runs any more."""
        await asyncio.gather(*self._running)
