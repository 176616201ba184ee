"""Let ccxt.pro hold the socket, and read every frame before it does.

A frame passes ccxt's `Client.handle_text_or_binary_message` synchronously and in order; we stand there, at
the raw text. Nothing may raise out of it: ccxt's receive loop would end in silence, the socket still open.
"""

from typing import Any, Protocol

import ccxt.pro
from aiohttp import WSMsgType
from ccxt.async_support.base.ws.client import Client


class Tap(Protocol):
    """Who hears what happens on a socket. Methods must not raise."""

    def on_frame(self, client: Any, text: str) -> bool:
        """Take a frame; False when ccxt should have it as well."""

    def on_heartbeat(self, client: Any) -> None:
        """Hear a ping or a pong of the websocket itself."""

    def on_up(self, client: Any) -> None:
        """Hear that the socket is open."""

    def on_down(self, client: Any, cause: str) -> None:
        """Hear that the socket failed or closed, and why."""


class TappedClient(Client):  # type: ignore[misc]  # ccxt has no types
    """ccxt's websocket client with our ear at the raw text."""

    tap: Tap

    def handle_message(self, message: Any) -> None:
        """Hear control frames too, which ccxt answers."""
        if message.type is WSMsgType.PING or message.type is WSMsgType.PONG:
            self.tap.on_heartbeat(self)
        super().handle_message(message)

    def handle_text_or_binary_message(self, data: str | bytes) -> None:
        """Offer the frame to the tap, and to ccxt if the tap leaves it."""
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if self.tap.on_frame(self, text):
            return
        try:
            super().handle_text_or_binary_message(data)
        except Exception as error:  # noqa: BLE001  (see above: an exception here would kill the receive loop)
            self.tap.on_down(self, f"ccxt could not read a frame: {error!r}")


def tapped(exchange_id: str, config: dict[str, Any], tap: Tap) -> Any:
    """Make a ccxt.pro exchange whose sockets are tapped. One for each connection."""
    base: Any = getattr(ccxt.pro, exchange_id)

    class Tapped(base):  # type: ignore[misc]  # the base is known at run time only
        def client(self, url: str) -> Any:
            known = url in (self.clients or {})
            client = super().client(url)
            if not known:
                client.__class__ = TappedClient
                client.tap = tap
            return client

        def on_connected(self, client: Any, message: Any = None) -> None:
            super().on_connected(client, message)
            tap.on_up(client)

        def on_error(self, client: Any, error: Any) -> None:
            super().on_error(client, error)
            tap.on_down(client, f"{type(error).__name__}: {error}")

        def on_close(self, client: Any, error: Any) -> None:
            super().on_close(client, error)
            tap.on_down(client, f"closed with code {error}")

    # ccxt chooses some texts by the class's name.
    Tapped.__name__ = Tapped.__qualname__ = exchange_id
    return Tapped(config)
