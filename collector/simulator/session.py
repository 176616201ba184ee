"""One websocket connection: reads what the client sends, applies what the exchange answers."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from aiohttp import WSMessage, WSMsgType, web

from collector.simulator.admission import Admission
from collector.simulator.conditions import Conditions, Way
from collector.simulator.exchanges import Exchange
from collector.simulator.hub import Hub
from collector.simulator.market import Truth
from collector.simulator.messages import Connection, Reply
from collector.simulator.publisher import Publisher
from collector.simulator.send_log import Logged, SendLog
from collector.simulator.wire import NO_CLOSE_FRAME, NO_CODE, PONG, close_frame, frame, reset

_ASKS_TO_SUBSCRIBE = re.compile(r'"(op|method)"\s*:\s*"subscribe"', re.IGNORECASE)
# A client that reads so slowly is cut off, as the exchanges do.
_PATIENCE_S = 1.0
_MOST_UNSENT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all sessions share; `open` holds those whose handshake is done, by number."""

    hub: Hub
    publisher: Publisher
    truth: Truth
    clock_ns: Callable[[str], int]
    conditions: Mapping[str, Conditions]
    log: SendLog | None
    open: "dict[int, Session]" = field(default_factory=dict)


class Session:
    """A client's connection to one exchange. Lives on the simulator's loop."""

    def __init__(
        self,
        context: SessionContext,
        exchange: Exchange,
        admission: Admission,
        connection: Connection,
        request: web.BaseRequest,
    ) -> None:
        self.connection = connection
        self.exchange = exchange
        self.is_mute = False
        self._is_slow = False
        self._is_over = False
        self._context = context
        self._admission = admission
        self._request = request
        delay_s = context.conditions[exchange.name].delay_s
        self._out, self._in = Way(delay_s), Way(delay_s)
        self._socket = web.WebSocketResponse(autoping=False, autoclose=False, max_msg_size=1024 * 1024)

    async def run(self) -> web.StreamResponse:
        """Serve the connection until either end closes it."""
        try:
            # `Server` hands out requests of the base class; `prepare` asks for no more than that.
            await self._socket.prepare(cast("web.Request", self._request))
        except ConnectionError:  # the client is gone already
            return web.Response()
        self._context.open[self.connection.number] = self
        self._log("opened")
        self.connection.last_traffic_ns = time.monotonic_ns()
        try:
            self.is_mute = self._admission.take("silence")
            self._apply(
                self.exchange.greet(
                    self.connection, self._request.query, self._context.clock_ns(self.exchange.name)
                )
            )
            await self._read()
        finally:
            self._is_over = True
            self._in.end()
            self._out.end()
            self._log("closed")
            self._context.hub.leave(self)
            self._context.open.pop(self.connection.number, None)
        return self._socket

    @property
    def last_due_s(self) -> float:
        """When what was written last arrives, by the loop's clock."""
        return self._out.last_due_s

    def write(self, data: bytes, note: Callable[[bool], None] | None = None) -> None:
        """Put bytes on the wire; `note` learns, just before, whether the connection is open."""
        self._out.send(partial(self._put, data, note))

    def write_text(self, text: str) -> None:
        """Send an answer or an announcement, and record it."""
        self.write(frame(text.encode()), partial(self._log, "answer", text))

    def _put(self, data: bytes, note: Callable[[bool], None] | None) -> None:
        transport = self._request.transport
        is_open = not (self.is_mute or self._is_over or transport is None or transport.is_closing())
        if note is not None:
            note(is_open)
        if not is_open or transport is None:
            return
        if transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
            self._context.truth.note_fault(
                "slow_consumer", self.exchange.name, connection=self.connection.number
            )
            reset(transport)
            return
        self.connection.last_traffic_ns = time.monotonic_ns()
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
                # A client that does not read must not delay the others; its frames wait in memory.
                self._is_slow = True
            except ConnectionError:
                pass

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code, after what is on its way; 1006 means without a close frame."""
        self._out.send(partial(self.close_now, code, reason))

    def close_now(self, code: int, reason: str = "") -> None:
        """Close with a code, whatever is on its way."""
        transport = self._request.transport
        if transport is None:
            return
        if code != NO_CLOSE_FRAME:
            transport.write(close_frame(code, reason))
        transport.close()

    def note_heartbeat(self, is_open: bool) -> None:
        """Record a heartbeat."""
        self._log("heartbeat", is_open=is_open)

    def mute(self) -> None:
        """Stop sending and reading, but stay open."""
        self.is_mute = True

    @property
    def is_compressed(self) -> bool:
        """Whether the client agreed to compressed frames."""
        return bool(self._socket.compress)

    def reset(self) -> None:
        """Cut the connection by RST; what is on its way is lost."""
        if self._request.transport is not None:
            reset(self._request.transport)
        self._is_over = True
        self._out.end()

    async def _read(self) -> None:
        async for message in self._socket:
            self._in.send(partial(self._take, message))

    def _take(self, message: WSMessage) -> None:
        now_ns = self._context.clock_ns(self.exchange.name)
        self.connection.last_client_ns = now_ns
        self.connection.last_traffic_ns = time.monotonic_ns()
        if self.is_mute or self._is_over:
            return
        if message.type is WSMsgType.TEXT:
            self._answer(message.data, now_ns)
        elif message.type is WSMsgType.PONG:
            self.connection.last_pong_ns = now_ns
        elif message.type is WSMsgType.PING:
            self.write(frame(message.data, PONG))
        elif message.type is WSMsgType.CLOSE:
            self.close(message.data or NO_CODE)

    def _answer(self, text: str, now_ns: int) -> None:
        if _ASKS_TO_SUBSCRIBE.search(text):
            if self._admission.take("ignore"):
                return
            words = self._admission.take_words(text)
            if words is not None or self._admission.take("reject"):
                self._apply(self.exchange.reject(self.connection, text, now_ns, words))
                return
        self._apply(self.exchange.receive(self.connection, text, now_ns))

    def _apply(self, replies: list[Reply]) -> None:
        for reply in replies:
            if reply.text is not None:
                self.write_text(reply.text)
            for topic in reply.unsubscribe:
                self._context.hub.unsubscribe(self, topic)
            for topic in reply.subscribe:
                self._context.publisher.subscribe(self, topic)
            if reply.close_code is not None:
                self.close(reply.close_code)

    def _log(self, event: str, detail: str = "", is_open: bool = True) -> None:
        if self._context.log is not None:
            name, number = self.exchange.name, self.connection.number
            self._context.log.note(
                Logged(time.time_ns(), event, name, number, delivered=is_open, detail=detail)
            )
