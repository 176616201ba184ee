"""One websocket connection: reads what the client says, applies what the exchange answers."""

import asyncio
import re
from typing import TYPE_CHECKING, cast

from aiohttp import WSMsgType, web

from collector.simulator.exchanges.exchange import Connection, Exchange, Reply
from collector.simulator.wire import NO_CLOSE_FRAME, NO_CODE, PONG, close_frame, frame, reset

if TYPE_CHECKING:
    from collector.simulator.world import World

_ASKS_TO_SUBSCRIBE = re.compile(r'"(op|method)"\s*:\s*"subscribe"', re.IGNORECASE)
# A client that reads so slowly is cut off, as the exchanges do.
_PATIENCE_S = 1.0
_MOST_UNSENT_BYTES = 256 * 1024 * 1024


class Session:
    """A client's connection to one exchange. Lives on the simulator's loop."""

    def __init__(
        self, world: "World", exchange: Exchange, connection: Connection, request: web.BaseRequest
    ) -> None:
        self.connection = connection
        self.exchange = exchange
        self.is_mute = False
        self._is_slow = False
        self._world = world
        self._request = request
        self._socket = web.WebSocketResponse(autoping=False, autoclose=False, max_msg_size=1024 * 1024)

    async def run(self) -> web.WebSocketResponse:
        """Serve the connection until either end closes it."""
        # `Server` hands out requests of the base class; `prepare` asks for no more than that.
        await self._socket.prepare(cast("web.Request", self._request))
        self._world.sessions[self.connection.number] = self
        try:
            self.is_mute = self._world.doors[self.exchange.name].take_silence()
            self._apply(self.exchange.greet(self.connection, self._request.query, self._world.clock_ns()))
            await self._read()
        finally:
            self._world.hub.leave(self)
            self._world.sessions.pop(self.connection.number, None)
        return self._socket

    def write(self, data: bytes) -> None:
        """Put bytes on the wire."""
        transport = self._request.transport
        if self.is_mute or transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
            self._world.truth.note_fault(
                "slow_consumer", self.exchange.name, connection=self.connection.number
            )
            reset(transport)
            return
        transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has taken most of what was written."""
        protocol = self._request.protocol
        if not protocol.writing_paused:
            self._is_slow = False
        elif not self._is_slow:
            try:
                # aiohttp drains only what its own writer wrote; ours goes to the transport, made ahead.
                await asyncio.wait_for(protocol._drain_helper(), _PATIENCE_S)  # noqa: SLF001
            except TimeoutError:
                # Who does not read holds nobody else up; what it is owed waits in memory.
                self._is_slow = True
            except ConnectionError:
                pass

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code; 1006 means without saying so."""
        transport = self._request.transport
        if transport is None:
            return
        if code != NO_CLOSE_FRAME:
            transport.write(close_frame(code, reason))
        transport.close()

    def mute(self) -> None:
        """Say nothing more and hear nothing, but stay open."""
        self.is_mute = True

    @property
    def is_compressed(self) -> bool:
        """Whether the client agreed to compressed frames."""
        return bool(self._socket.compress)

    def reset(self) -> None:
        """Cut the connection by RST."""
        if self._request.transport is not None:
            reset(self._request.transport)

    async def _read(self) -> None:
        async for message in self._socket:
            now_ns = self._world.clock_ns()
            self.connection.last_client_ns = now_ns
            if self.is_mute:
                continue
            if message.type is WSMsgType.TEXT:
                self._answer(message.data, now_ns)
            elif message.type is WSMsgType.PONG:
                self.connection.last_pong_ns = now_ns
            elif message.type is WSMsgType.PING:
                self.write(frame(message.data, PONG))
            elif message.type is WSMsgType.CLOSE:
                self.close(message.data or NO_CODE)

    def _answer(self, text: str, now_ns: int) -> None:
        door = self._world.doors[self.exchange.name]
        if _ASKS_TO_SUBSCRIBE.search(text):
            if door.take_ignored():
                return
            if door.take_rejection():
                self._apply(self.exchange.reject(self.connection, text, now_ns))
                return
        self._apply(self.exchange.receive(self.connection, text, now_ns))

    def _apply(self, replies: list[Reply]) -> None:
        for reply in replies:
            if reply.text is not None:
                self.write(frame(reply.text.encode()))
            for topic in reply.unsubscribe:
                self._world.hub.unsubscribe(self, topic)
            for topic in reply.subscribe:
                self._world.subscribe(self, topic)
            if reply.close_code is not None:
                self.close(reply.close_code)
