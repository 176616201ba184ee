"""Let ccxt.pro keep the book of an exchange that nobody wrote a folder for, and see every state of it.

ccxt applies a frame and tells that by `Client.resolve`, in the same synchronous step. We stand there: each
applied message is seen, in order. What waits for the resolved future is never woken: a loop over
`watch_order_book` would see one state of a burst, and cut the book that it is handed.
"""

import asyncio
from contextlib import suppress
from typing import Any, Protocol

from ccxt.async_support.base.ws.order_book import OrderBook

from collector.errors import StreamError
from collector.network.failures import Failure, gone
from collector.network.markets import Markets, Source
from collector.network.pacing import Pacer
from collector.network.socket import CLOSE_TIMEOUT_S, Reader, Socket
from collector.network.tap import TappedClient, dialler
from collector.network.waiting import wait_for_first


class BookReader(Reader, Protocol):
    """Who reads the books as well."""

    def on_book(self, book: Any, *, in_frame: bool) -> None:
        """Take a book as it stands after a message: of the frame just read, or of REST. Must not raise."""


class UnifiedClient(TappedClient):
    """ccxt's websocket client with our ear at every applied message."""

    tap: "UnifiedSocket"

    def handle_message(self, message: Any) -> None:
        """Mark where a frame begins and ends: what is resolved twice in it may be one message."""
        self.tap.begin_frame()
        super().handle_message(message)
        self.tap.end_frame()

    def connect(self, session: Any, backoff_delay: float = 0) -> Any:
        """Dial at once: our backoff is the only one, and runs on the monotonic clock."""
        del backoff_delay
        return super().connect(session, 0)

    def resolve(self, result: Any, message_hash: str) -> Any:
        """Hear of an applied message; only what is no book wakes who waits for it."""
        if isinstance(result, OrderBook):
            self.tap.on_applied(self, result, message_hash)
            return result
        return super().resolve(result, message_hash)

    def reject(self, result: Any, message_hash: str | None = None) -> Any:
        """Hear that ccxt doubts a book: what it resolves after that in the same frame is not to be had."""
        if message_hash is not None:
            self.tap.on_doubted(message_hash)
        return super().reject(result, message_hash)


class UnifiedSocket(Socket):
    """What ccxt opens for the books of one connection: all of it made anew with each dial."""

    def __init__(
        self,
        source: Source,
        markets: Markets,
        connect_timeout_s: float,
        reader: BookReader,
        requests: Pacer,
    ) -> None:
        super().__init__(source, markets, "", connect_timeout_s, reader, requests)
        self._book_reader = reader
        self._in_frame = False
        self._resolved: dict[int, str] = {}  # of this frame: by book, under which name it was resolved first
        self._doubted: set[str] = set()

    @property
    def exchange(self) -> Any:
        """Return the ccxt object of the dial that stands."""
        return self._ccxt

    # What the tap hears.

    def begin_frame(self) -> None:
        """Hear that a frame begins."""
        self._in_frame = True
        self._resolved.clear()
        self._doubted.clear()

    def end_frame(self) -> None:
        """Hear that all of a frame was read."""
        self._in_frame = False

    def on_applied(self, client: Any, book: Any, message_hash: str) -> None:
        """Hear that a message was applied to a book."""
        if not self._is_ours(client) or message_hash in self._doubted:
            return
        # Some exchanges resolve one message under several names; under one name, each is a message.
        if not self._in_frame or self._resolved.setdefault(id(book), message_hash) == message_hash:
            self._book_reader.on_book(book, in_frame=self._in_frame)

    def on_doubted(self, message_hash: str) -> None:
        """Hear that ccxt refuses what a book was told."""
        self._doubted.add(message_hash)

    def on_frame(self, client: Any, text: str) -> bool:
        """Hear a frame; ccxt reads it."""
        return not self._is_ours(client) or self._reader.on_text(text)

    def on_heartbeat(self, client: Any) -> None:
        """Hear a ping or a pong of a websocket itself."""
        if self._is_ours(client):
            self._reader.on_sign_of_life()

    def on_up(self, client: Any) -> None:
        """Hear that a socket is open."""
        if self._is_ours(client):
            self._up.set()
            self._reader.on_sign_of_life()

    def on_down(self, client: Any, failure: Failure) -> None:
        """Hear that a socket is gone: the books of them all are begun anew."""
        if self._is_ours(client):
            self.give_up(failure)

    # What the connection asks for.

    async def open(self) -> None:
        """Make ccxt's object; it dials when it is asked to watch."""
        self.failure = None
        self._up.clear()
        self._gone.clear()
        self._ccxt = dialler(self._source, self._markets, self._connect_timeout_s, self, UnifiedClient)
        self._ccxt.open()

    async def ping(self) -> None:
        """Send what the exchange takes for a ping on each socket."""
        await self._turn()
        for client in list(self._ccxt.clients.values()):
            if client.connection is None:
                continue
            try:
                if client.ping:
                    await client.send(client.ping(client))
                else:
                    await client.connection.ping()
            except (ConnectionError, RuntimeError) as error:
                raise StreamError(f"could not ping: {error}") from error

    async def until_up(self) -> None:
        """Wait until a socket stands. Raises StreamError when none does in time."""
        await wait_for_first(self._up.wait(), self._gone.wait(), timeout_s=self._connect_timeout_s)
        if not self._up.is_set():
            self.give_up(gone("timeout", f"no connection within {self._connect_timeout_s:g} s"))
        self._raise_if_gone()

    async def let_go(self) -> None:
        """Close the sockets and forget the books."""
        exchange, self._ccxt = self._ccxt, None
        if exchange is None:
            return
        for client in list(exchange.clients.values()):
            # A peer that is gone answers no closing handshake; aiohttp lets go of the socket all the same.
            with suppress(TimeoutError):
                await asyncio.wait_for(client.aiohttp_close(), CLOSE_TIMEOUT_S)
        exchange.clients.clear()
        await exchange.close()

    async def close(self) -> None:
        """Let go of whatever is left."""
        await self.let_go()

    def _is_ours(self, client: Any) -> bool:
        return self._ccxt is not None and client.exchange is self._ccxt
