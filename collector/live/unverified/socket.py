"""Read every state of the books that ccxt.pro keeps of an unverified exchange.

ccxt applies a frame and calls `Client.resolve` in the same synchronous step. `UnverifiedClient` overrides
it: each applied message is seen, in order. Whoever awaits the resolved future is never woken: a loop over
`watch_order_book` would see one state of a burst, and cut the book that it is given.
"""

import asyncio
from contextlib import suppress
from typing import Any, Protocol

from ccxt.async_support.base.ws.order_book import OrderBook

from collector.errors import StreamError
from collector.network import (
    CLOSE_TIMEOUT_S,
    Failure,
    Markets,
    Pacer,
    Reader,
    Socket,
    Source,
    TakeText,
    TappedClient,
    dialler,
    gone,
    mistaken,
    wait_for_first,
)


class OnBook(Protocol):
    """The callback for each state of a book."""

    def __call__(self, book: Any, *, in_frame: bool) -> None:
        """Take a book as it stands after a message: of the frame just read, or of REST. Must not raise."""


class UnverifiedClient(TappedClient):
    """ccxt's websocket client, which reports every applied message."""

    tap: "UnverifiedSocket"

    def handle_message(self, message: Any) -> None:
        """Mark the begin and the end of a frame: what is resolved twice in it may be one message."""
        self.tap.begin_frame()
        super().handle_message(message)
        self.tap.end_frame()

    def connect(self, session: Any, backoff_delay: float = 0) -> Any:
        """Dial at once: our backoff is the only one, and runs on the monotonic clock."""
        del backoff_delay
        return super().connect(session, 0)

    def resolve(self, result: Any, message_hash: str) -> Any:
        """Report an applied message; only the futures of other things than books are resolved."""
        if isinstance(result, OrderBook):
            self.tap.on_applied(self, result, message_hash)
            return result
        return super().resolve(result, message_hash)

    def reject(self, result: Any, message_hash: str | None = None) -> Any:
        """Report that ccxt doubts a book: what it resolves after that in the same frame is ignored."""
        if message_hash is not None:
            self.tap.on_doubted(message_hash)
        return super().reject(result, message_hash)


class UnverifiedSocket(Socket):
    """The sockets that ccxt opens for the books of one connection: all made anew with each dial."""

    def __init__(
        self,
        source: Source,
        markets: Markets,
        connect_timeout_s: float,
        requests: Pacer,
    ) -> None:
        super().__init__(source, markets, "", connect_timeout_s, requests)
        self.on_book: OnBook = _ignore
        self._in_frame = False
        self._resolved: dict[int, str] = {}  # of this frame: by book, under which name it was resolved first
        self._doubted: set[str] = set()

    @property
    def exchange(self) -> Any:
        """Return the ccxt object of the current dial."""
        return self._ccxt

    # What the tap reports.

    def begin_frame(self) -> None:
        """Begin a frame: nothing of it was resolved yet."""
        self._in_frame = True
        self._resolved.clear()
        self._doubted.clear()

    def end_frame(self) -> None:
        """End a frame: what is resolved from now on is of REST."""
        self._in_frame = False

    def on_applied(self, client: Any, book: Any, message_hash: str) -> None:
        """Report the state of a book after a message, once for each message."""
        if not self._is_ours(client) or message_hash in self._doubted:
            return
        # Some exchanges resolve one message under several names; under one name, each is a message.
        if not self._in_frame or self._resolved.setdefault(id(book), message_hash) == message_hash:
            self.on_book(book, in_frame=self._in_frame)

    def on_doubted(self, message_hash: str) -> None:
        """Ignore a book for the rest of the frame: ccxt refused a message of it."""
        self._doubted.add(message_hash)

    def reader_of(self, client: Any) -> TakeText:
        """Return who takes the frames of a new socket, for as long as its dial is the current one."""
        reader = self._reader
        return lambda text: reader is None or not self._is_ours(client) or reader.on_text(text)

    def on_heartbeat(self, client: Any) -> None:
        """Report a ping or a pong of a websocket itself."""
        if self._is_ours(client) and self._reader is not None:
            self._reader.on_sign_of_life()

    def on_up(self, client: Any) -> None:
        """Report that a socket is open."""
        if self._is_ours(client):
            self._up.set()
            self.on_heartbeat(client)

    def on_unread(self, client: Any, text: str, error: Exception) -> None:
        """Give all sockets up: what ccxt could not read may have been of a book that it keeps."""
        if self._is_ours(client) and self._reader is not None:
            self._reader.on_unread(text, error)
            self.give_up(mistaken(f"ccxt could not read a frame: {error!r}"))

    def on_down(self, client: Any, failure: Failure) -> None:
        """Give all sockets up when one is gone: the books begin anew."""
        if self._is_ours(client):
            self.give_up(failure)

    # What the connection asks for.

    async def open(self, reader: Reader) -> None:
        """Make ccxt's object; it dials when it is asked to watch."""
        self._reader = reader
        self.failure = None
        self._up.clear()
        self._gone.clear()
        self._ccxt = dialler(self._source, self._markets, self._connect_timeout_s, self, UnverifiedClient)
        self._ccxt.open()

    async def ping(self) -> None:
        """Send on each socket what the exchange takes for a ping."""
        await self._wait_for_turn()
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
        """Wait until a socket is open. Raises StreamError when none is in time."""
        await wait_for_first(self._up.wait(), self._gone.wait(), timeout_s=self._connect_timeout_s)
        if not self._up.is_set():
            self.give_up(gone("timeout", f"no connection within {self._connect_timeout_s:g} s"))
        self._raise_if_gone()

    async def disconnect(self) -> None:
        """Close the sockets and forget the books."""
        exchange, self._ccxt = self._ccxt, None
        if exchange is None:
            return
        for client in list(exchange.clients.values()):
            # A peer that is gone answers no closing handshake; aiohttp closes the socket all the same.
            with suppress(TimeoutError):
                await asyncio.wait_for(client.aiohttp_close(), CLOSE_TIMEOUT_S)
        exchange.clients.clear()
        await exchange.close()

    async def close(self) -> None:
        """Close whatever is left."""
        await self.disconnect()

    def _is_ours(self, client: Any) -> bool:
        return self._ccxt is not None and client.exchange is self._ccxt


def _ignore(book: Any, *, in_frame: bool) -> None:
    del book, in_frame
