"""Read every frame of a socket of ccxt.pro before ccxt does.

A frame passes ccxt's `Client.handle_message` synchronously and in order; `TappedClient` overrides it to take
the raw text. Nothing may raise out of it: ccxt's receive loop would end in silence, the socket still open.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import time_ns
from typing import Any, Protocol

import ccxt.pro
from aiohttp import WSMsgType
from ccxt.async_support.base.ws.client import Client

from collector.exchanges import UNVERIFIED_NAMES, ccxt_id_of
from collector.network.failures import Failure, classify, classify_close
from collector.network.inline import make_sockets_inline, read_inline
from collector.network.markets import Markets, Source
from collector.network.tls import share_tls

TEXT = WSMsgType.TEXT
TakeText = Callable[[str], bool]  # takes a frame; False when ccxt should have it as well. Must not raise


class Tap(Protocol):
    """Who takes what happens on a socket. Methods must not raise."""

    def reader_of(self, client: Any) -> TakeText:
        """Return who takes the frames of a new socket."""

    def on_heartbeat(self, client: Any) -> None:
        """Take a ping or a pong of the websocket itself."""

    def on_up(self, client: Any) -> None:
        """Take note that the socket is open."""

    def on_unread(self, client: Any, text: str, error: Exception) -> None:
        """Take a frame that was left to ccxt, and on which ccxt raised."""

    def on_down(self, client: Any, failure: Failure) -> None:
        """Take the reason why the socket failed or closed."""


def drop(_text: str) -> bool:
    """Drop a frame of a socket that was given up."""
    return True


class TappedClient(Client):  # type: ignore[misc]  # ccxt has no types
    """ccxt's websocket client, tapped at the raw text."""

    tap: Tap
    take_text: TakeText
    exchange: Any  # the ccxt object that it belongs to
    pongs: "set[asyncio.Future[None]]"
    close_reason: str = ""  # in the peer's words

    @property
    def buffer(self) -> Any:
        """Return aiohttp's queue as ccxt does, in fewer steps: ccxt reads it twice a frame."""
        try:
            return self.connection._conn.protocol._payload._buffer  # noqa: SLF001
        except AttributeError:
            return None

    def handle_message(self, message: Any) -> None:
        """Pass a text frame on at once, and report control frames, which ccxt answers."""
        kind = message.type
        if kind is TEXT:
            self.last_message_at = time_ns() // 1_000_000
            if not self.take_text(message.data):
                self._leave_to_ccxt(message.data)
            return
        if kind is WSMsgType.PING:
            self.tap.on_heartbeat(self)
            task = asyncio.ensure_future(self._pong(message.data))
            self.pongs.add(task)
            task.add_done_callback(self.pongs.discard)
            return
        if kind is WSMsgType.PONG:
            self.tap.on_heartbeat(self)
        elif kind is WSMsgType.CLOSE:
            self.close_reason = str(message.extra or "")
        super().handle_message(message)

    async def _pong(self, data: bytes) -> None:
        """Answer a ping; ccxt's own answer to a socket that just closed is an error that nobody catches."""
        with suppress(ConnectionError, RuntimeError):
            await self.connection.pong(data)

    def handle_text_or_binary_message(self, data: str | bytes) -> None:
        """Pass the frame to the tap, and to ccxt where the tap leaves it."""
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if not self.take_text(text):
            self._leave_to_ccxt(data)

    def _leave_to_ccxt(self, data: str | bytes) -> None:
        try:
            super().handle_text_or_binary_message(data)
        except Exception as error:  # noqa: BLE001  (see above: an exception here would kill the receive loop)
            text = data if isinstance(data, str) else data.decode("utf-8", "replace")
            self.tap.on_unread(self, text, error)


def tapped(
    exchange_id: str, config: dict[str, Any], tap: Tap, client_class: type[TappedClient] = TappedClient
) -> Any:
    """Make a ccxt.pro exchange whose sockets are tapped. One for each connection."""
    base: Any = getattr(ccxt.pro, ccxt_id_of(exchange_id))

    class Tapped(base):  # type: ignore[misc]  # the base is known at run time only
        def client(self, url: str) -> Any:
            known = url in (self.clients or {})
            client = super().client(url)
            if not known:
                client.__class__ = client_class
                client.tap, client.exchange, client.pongs = tap, self, set()
                client.take_text = tap.reader_of(client)
            return client

        def open(self, lazy: bool = False) -> None:
            super().open(lazy)
            make_sockets_inline(self.session)

        def on_connected(self, client: Any, message: Any = None) -> None:
            super().on_connected(client, message)
            read_inline(client)
            tap.on_up(client)

        def on_error(self, client: Any, error: Any) -> None:
            super().on_error(client, error)
            tap.on_down(client, classify(error, exchange_id))

        def on_close(self, client: Any, error: Any) -> None:
            super().on_close(client, error)
            tap.on_down(client, classify_close(error, client.close_reason))

    # ccxt chooses some texts by the class's name.
    Tapped.__name__ = Tapped.__qualname__ = exchange_id
    return Tapped(config)


def dialler(
    source: Source,
    markets: Markets,
    connect_timeout_s: float,
    tap: Tap,
    client_class: type[TappedClient] = TappedClient,
) -> Any:
    """Make the ccxt object that holds one connection's socket, its markets shared with the others'."""
    config = source.config(connect_timeout_s)
    websocket = {
        "keepAlive": 0,  # ccxt's pings run on the wall clock; ours on the monotonic one
        "connectionTimeout": max(1000, int(connect_timeout_s * 1000)),
    }
    if source.exchange not in UNVERIFIED_NAMES:  # a gateway may refuse a handshake that does not offer it
        websocket["compress"] = 0  # inflating costs more than the bytes, and a bomb cannot come in
    config["options"] = {**config.get("options", {}), "ws": websocket}
    exchange = tapped(source.exchange, config, tap, client_class)
    source.address(exchange)
    share_tls(exchange)
    markets.share_with(exchange)
    return exchange
