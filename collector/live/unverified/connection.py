"""Keep the connection to an exchange alive that nobody wrote a folder for: ccxt reads its frames."""

from typing import Any

from collector.live.connection import Connection
from collector.live.resync import Resyncs
from collector.live.subscriptions import Subscriptions
from collector.live.unverified.books import UnifiedBooks
from collector.live.unverified.socket import UnifiedSocket
from collector.network.markets import Markets, Source
from collector.network.pacing import Pacer
from collector.network.snapshots import Snapshots
from collector.network.socket import Socket
from collector.streams.stream import Stream


class UnifiedConnection(Connection):
    """The sockets that ccxt opens for some markets: they come and go together."""

    _sockets: UnifiedSocket
    _books: UnifiedBooks
    _received_at_ns = 0
    _last_at_ns = 0

    def on_text(self, text: str) -> bool:
        """Note when a frame came, and leave it to ccxt."""
        del text
        self._received_at_ns = self._around.clock.now_ns()
        self._heart.heard()
        self.liveness.heard_ns = self._received_at_ns
        self._news.set()
        return False

    def on_book(self, book: Any, *, in_frame: bool) -> None:
        """Take a book as it stands after a message."""
        received_at_ns = self._received_at_ns if in_frame else self._around.clock.now_ns()
        # A frame may hold several messages of one market: the order in which they stood there is kept.
        self._last_at_ns = max(received_at_ns, self._last_at_ns + 1)
        self._books.take_book(book, self._last_at_ns)

    def _new_socket(self, source: Source, markets: Markets, requests: Pacer) -> Socket:
        self._sockets = UnifiedSocket(source, markets, self._pace.connect_timeout_s, self, requests)
        return self._sockets

    def _new_subscriptions(
        self, streams: list[Stream], resyncs: Resyncs, snapshots: Snapshots | None
    ) -> Subscriptions:
        del snapshots  # ccxt fetches what it needs
        self._books = UnifiedBooks(
            streams,
            self._around,
            self._requests,
            resyncs,
            self.liveness,
            self._wake.set,
            self._router,
            socket=self._sockets,
            backoff=self._pace.backoff,
            on_up=self._connected,
        )
        return self._books

    async def _dial(self) -> None:
        self._heart.heard()
        await self._sockets.open()

    async def _beat(self) -> None:
        await self._sockets.ping()
        if not self._books.watching:
            self._heart.heard()  # there is no socket that could be silent
