"""Bound what one connection may take: time for a request, bytes of its head, answers that nobody reads.

uvicorn bounds none of these by itself: half a head may stand for ever, and one of any size is taken if it
comes in one piece.
"""

import asyncio
from contextlib import suppress
from typing import Any

import h11
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from collector.serve.access import Refusal
from collector.serve.gate import NO_STORE, SECURITY_HEADERS, body_of
from collector.serve.limits import HttpLimits

LOOK_S = 1.0  # how often connections are looked at
PIECE_BYTES = 4096  # of what came, looked at before the next is
BUSY = Refusal(503, "too many connections", "fewer at once")
MALFORMED = Refusal(400, "not a request of HTTP/1.1, or a head that is too large", "a smaller, correct one")


class BoundedConfig(Config):
    """uvicorn's configuration, with our limits for each connection."""

    def __init__(self, app: Any, limits: HttpLimits) -> None:
        self.limits = limits
        super().__init__(
            app,
            http=BoundedConnection,
            ws=BoundedWebsocket,
            ws_max_size=limits.websocket_bytes,
            ws_ping_interval=limits.ping_s,
            ws_ping_timeout=limits.ping_s,
            ws_per_message_deflate=False,  # what is pushed to hundreds would be packed for each of them
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=max(1, round(limits.idle_s)),
            timeout_graceful_shutdown=max(1, round(limits.stop_s)),
            h11_max_incomplete_event_size=limits.header_bytes,
        )


class BoundedServer(Server):
    """uvicorn's server, which looks at its connections, rests in between, and ends as soon as it is told."""

    def __init__(self, config: BoundedConfig) -> None:
        super().__init__(config)
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()

    def end(self) -> None:
        """End, from any thread."""
        self.should_exit = True
        with suppress(RuntimeError):  # its loop is closed already
            self._loop.call_soon_threadsafe(self._ending.set)

    async def main_loop(self) -> None:
        """Cut connections that take too long, until told to end."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), LOOK_S)
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedConnection | BoundedWebsocket):
                    connection.look()

    async def drop_all(self) -> None:
        """Cut what is left once it has ended."""
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)  # for the transports to be let go of


class BoundedWebsocket(WebSocketsSansIOProtocol):
    """One websocket. It is cut where it is closed, and what still waits in it is not read."""

    def __init__(self, config: BoundedConfig, *more: Any, **named: Any) -> None:
        super().__init__(config, *more, **named)
        self._stalled_s = config.limits.stalled_s
        self._closing_since_s: float | None = None

    def look(self) -> None:
        """Cut the connection if its end takes too long."""
        if self.transport.is_closing():
            now_s = self.loop.time()
            self._closing_since_s = self._closing_since_s or now_s
            if now_s - self._closing_since_s > self._stalled_s:
                self.transport.abort()


class BoundedConnection(H11Protocol):
    """One connection. `look` is called every second, and cuts what takes too long."""

    def __init__(self, config: BoundedConfig, *more: Any, **named: Any) -> None:
        super().__init__(config, *more, **named)
        self.limits = config.limits
        self._waiting_since_s: float | None = None  # for the rest of a request
        self._unread_since_s: float | None = None  # an answer waits for its reader
        self._closing_since_s: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._waiting_since_s = self.loop.time()
        if len(self.connections) > self.limits.connections:
            self._refuse(BUSY)

    def data_received(self, data: bytes) -> None:
        """Take what came piece by piece, so that a head is refused as soon as it is too large."""
        if self._waiting_since_s is None:
            self._waiting_since_s = self.loop.time()
        for begin in range(0, len(data), PIECE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[begin : begin + PIECE_BYTES])
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._waiting_since_s = None

    def on_response_complete(self) -> None:
        """Go on with the next request; what has come of it already begins now."""
        super().on_response_complete()
        is_begun = self.conn.their_state is h11.SEND_BODY or bool(self.conn.trailing_data[0])
        self._waiting_since_s = self.loop.time() if is_begun else None

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        self._unread_since_s = self.loop.time()
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        """Note that it reads."""
        self._unread_since_s = None
        self.flow.resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, in the form that every refusal has."""
        del msg
        self._refuse(MALFORMED)

    def look(self) -> None:
        """Cut the connection if something on it takes too long."""
        now_s = self.loop.time()
        if self.transport.is_closing():
            self._closing_since_s = self._closing_since_s or now_s
        limits = self.limits
        waits = (
            (self._waiting_since_s, limits.request_s),
            (self._unread_since_s, limits.stalled_s),
            (self._closing_since_s, limits.stalled_s),
        )
        if any(since_s is not None and now_s - since_s > most_s for since_s, most_s in waits):
            self.transport.abort()

    def _refuse(self, refusal: Refusal) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()  # in the middle of an answer to the request before
            return
        body = body_of(refusal)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            NO_STORE,
            *SECURITY_HEADERS,
        ]
        for event in (
            h11.Response(status_code=refusal.status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
