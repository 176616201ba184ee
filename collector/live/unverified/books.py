"""Keep the books of an exchange that nobody wrote a folder for: asked of ccxt, seen after each message."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import ccxt

from collector.book.verified import Did
from collector.events.batch import Liveness
from collector.events.columns import INT64_MAX
from collector.events.messages import Snapshot
from collector.live.requests import Requests
from collector.live.resync import Resyncs
from collector.live.subscriptions import Subscriptions, Surroundings
from collector.live.unverified.questions import Questions
from collector.live.unverified.socket import UnifiedSocket
from collector.network.failure_table import FailureClass
from collector.network.failures import Failure, classify, gone, mistaken
from collector.network.waiting import wait_for_first
from collector.retry import Backoff
from collector.streams.book_stream import BookStream
from collector.streams.router import Router
from collector.streams.stream import Stream

MOST_UNANSWERED = 3  # in a row, then the market is taken for one that has no book
LEAST_PAUSE_S = 0.05


class UnifiedBooks(Subscriptions):
    """The streams of one connection whose books ccxt keeps. Lives in the websocket thread's loop."""

    def __init__(
        self,
        streams: Sequence[Stream],
        around: Surroundings,
        requests: Requests,
        resyncs: Resyncs,
        liveness: Liveness,
        wake: Callable[[], None],
        router: Router,
        *,
        socket: UnifiedSocket,
        backoff: Backoff,
        on_up: Callable[[], None],
    ) -> None:
        super().__init__(streams, around, requests, resyncs, None, liveness, wake, router)
        self._socket = socket
        self._backoff = backoff
        self._on_up = on_up
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._questions = Questions(around.monotonic_s)
        self._unanswered: dict[str, int] = {}
        self._suspicious: dict[str, int] = {}
        self._sequences: dict[str, int] = {}
        self._unnumbered: set[str] = set()  # markets whose numbers turned out to tell nothing
        self._serving = False

    @property
    def watching(self) -> bool:
        """Say whether there is anything to hear."""
        return bool(self._keepers)

    def take_book(self, book: Any, received_at_ns: int) -> None:
        """Take ccxt's book as it stands: a state for each stream of its market. Does not raise."""
        try:
            symbol = book["symbol"]
            streams = [one for one in self.books if one.key.symbol == symbol]
            if not streams or not (book["bids"] or book["asks"]):
                return
            depth = max(one.place.depth for one in streams)
            bids = [(float(level[0]), float(level[1])) for level in book["bids"][:depth]]
            asks = [(float(level[0]), float(level[1])) for level in book["asks"][:depth]]
            sequence, exchange_ms = self._number(symbol, book["nonce"]), _whole(book["timestamp"])
            self._unanswered.pop(symbol, None)
            self._suspicious.pop(symbol, None)
            for stream in streams:
                levels = stream.place.depth
                message = Snapshot(stream.topic, sequence, exchange_ms, bids[:levels], asks[:levels])
                outcome = stream.take(message, received_at_ns, self._liveness)
                if outcome.did is Did.BROKE:
                    self.broke(stream, outcome)
                    self._resyncs.asked([stream.topic], self._around.monotonic_s())  # the next message shows
        except Exception as error:  # noqa: BLE001  (raised into ccxt's receive loop it would end the stream)
            self._socket.give_up(mistaken(repr(error)))

    def tells_apart(self, stream: Stream) -> bool:
        """Say whether a stream could be added: each is read off its market's book."""
        return stream.topic not in self._streams

    def add(self, stream: Stream) -> None:
        """Collect a stream as well; the others notice nothing."""
        super().add(stream)
        if self._serving:
            self._keep(stream.key.symbol)

    async def begin(self) -> None:
        """Ask ccxt to watch every market; returns when a socket stands."""
        self._to_subscribe.clear()
        self._to_leave.clear()
        self._serving = True
        now_s = self._around.monotonic_s()
        self._resyncs.asked([one.topic for one in self.books], now_s)
        for stream in self.books:
            stream.asked()
            self._keep(stream.key.symbol)
        if self._keepers:
            await self._socket.until_up()
            self._on_up()

    async def go_on(self) -> None:
        """Let go of what was removed, and mind the books that are silent."""
        self._to_subscribe.clear()
        while self._to_leave:
            stream = self._to_leave.pop(0)
            self._router.drop(stream)
            await self._leave(stream.key.symbol)
        now_ns, now_s = self._around.clock.now_ns(), self._around.monotonic_s()
        for topic in self._resyncs.due(self.books, now_ns, now_s):
            stream = self._streams[topic]
            assert isinstance(stream, BookStream)  # noqa: S101  (`due` was asked about books)
            self._resyncs.asked([topic], now_s)
            if stream.verified:
                self._questions.ask(stream, self._socket.exchange, self._is_stale)
            else:
                self._no_book(stream)
                break  # the others may have been touched

    def lose_all(self, cause: str, detail: str) -> None:
        """Let go of every book: what fed them is gone."""
        self._serving = False
        self._sequences.clear()
        self._questions.give_up()
        for task in self._keepers.values():
            task.cancel()
        self._keepers.clear()
        super().lose_all(cause, detail)

    def _number(self, symbol: str, nonce: Any) -> int | None:
        """Return a book's number, where the exchange's numbers tell each state from the one before."""
        sequence = _whole(nonce)
        if sequence is None or symbol in self._unnumbered:
            return None
        last = self._sequences.get(symbol)
        if last is not None and sequence <= last:
            self._unnumbered.add(symbol)
            self._lose(symbol, "numbering", f"number {sequence} after {last}: from here on there is none")
            return None
        self._sequences[symbol] = sequence
        return sequence

    def _lose(self, symbol: str, cause: str, detail: str) -> None:
        self._sequences.pop(symbol, None)
        for stream in self.books:
            if stream.key.symbol == symbol:
                stream.lose(cause, detail, alive_until_ns=None)
                stream.asked()  # ccxt goes on watching it

    def _keep(self, symbol: str) -> None:
        if symbol not in self._keepers:
            self._keepers[symbol] = asyncio.create_task(self._watch(symbol))

    async def _watch(self, symbol: str) -> None:
        """Have ccxt watch a market for as long as the socket stands; what comes is seen elsewhere."""
        failures = 0
        while self._socket.failure is None:
            try:
                await self._socket.exchange.watch_order_book(symbol)
            except ccxt.BaseError as error:
                failure = classify(error, self._around.exchange)
            except asyncio.CancelledError:
                return  # by us, or by ccxt, whose socket is being closed
            except Exception as error:  # noqa: BLE001  (a mistake in ccxt's file of that exchange)
                failure = classify(error, self._around.exchange)
            else:
                failures = 0
                await asyncio.sleep(LEAST_PAUSE_S)
                continue
            if self._socket.failure is not None or self._failed(symbol, failure):
                return
            await asyncio.sleep(max(LEAST_PAUSE_S, self._backoff.wait_s(failures)))
            failures += 1

    def _failed(self, symbol: str, failure: Failure) -> bool:
        """Mind what ccxt says of one market; True when there is no point in asking again."""
        if failure.kind is FailureClass.PERMANENT and not self._is_about(symbol, failure):
            return False
        count = self._suspicious[symbol] = self._suspicious.get(symbol, 0) + failure.suspicious
        if failure.stops(count):
            self._refuse_market(symbol, str(failure))
            return True
        if failure.kind is FailureClass.RESYNC:
            self._lose(symbol, failure.cause, failure.detail)
        return False

    def _is_about(self, symbol: str, failure: Failure) -> bool:
        """Say whether a refusal means this market: ccxt tells some to all who wait."""
        names = {name: one.key.symbol for one in self.books for name in (one.key.symbol, one.place.market_id)}
        named = max((name for name in names if name in failure.detail), key=len, default=None)
        if named is not None:
            return names[named] == symbol
        self._unanswered[symbol] = self._unanswered.get(symbol, 0) + 1  # until a book comes
        return self._unanswered[symbol] >= MOST_UNANSWERED

    def _is_stale(self, symbol: str, detail: str) -> None:
        """Begin anew: REST is ahead of a market that said nothing."""
        self._lose(symbol, "stale", detail)
        self._socket.give_up(gone("stale", f"{symbol} {detail}"))

    def _no_book(self, stream: BookStream) -> None:
        """Mind a market whose book did not come in time: begin anew; after some times, do without it."""
        symbol = stream.key.symbol
        count = self._unanswered[symbol] = self._unanswered.get(symbol, 0) + 1
        if count >= MOST_UNANSWERED:
            self._refuse_market(symbol, f"no book came, {count} times")
        else:
            self._socket.give_up(gone("no_book", f"none of {symbol} in time"))

    def _refuse_market(self, symbol: str, words: str) -> None:
        for stream in self.books:
            if stream.key.symbol == symbol:
                self._refuse(stream.topic, words)
        keeper = self._keepers.pop(symbol, None)
        if keeper is not None and keeper is not asyncio.current_task():
            keeper.cancel()

    async def _leave(self, symbol: str) -> None:
        """Have ccxt let go of a market that no stream is read off any more."""
        if any(one.key.symbol == symbol for one in self.books):
            return
        self._sequences.pop(symbol, None)
        keeper = self._keepers.pop(symbol, None)
        if keeper is not None:
            keeper.cancel()
        exchange = self._socket.exchange
        if exchange is not None and exchange.has.get("unWatchOrderBook"):
            leaving = asyncio.ensure_future(exchange.un_watch_order_book(symbol))
            leaving.add_done_callback(_heard)
            await wait_for_first(asyncio.shield(leaving), timeout_s=LEAST_PAUSE_S)


def _whole(value: Any) -> int | None:
    """Return a whole number that a column can hold, or None."""
    return value if isinstance(value, int) and 0 <= value <= INT64_MAX else None


def _heard(task: "asyncio.Future[Any]") -> None:
    """Take note of how it ended: some exchanges answer with an error, and nobody waits."""
    if not task.cancelled():
        task.exception()
