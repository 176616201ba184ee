"""Collect the books that ccxt keeps of an unverified exchange: watched by ccxt, read after each message."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import ccxt

from collector.book import Did
from collector.events import INT64_MAX, Snapshot
from collector.live.context import ConnectionContext
from collector.live.resync import Resyncs
from collector.live.subscriptions import Subscriptions
from collector.live.unverified.rest_checks import RestChecks
from collector.live.unverified.socket import UnverifiedSocket
from collector.network import (
    MOST_SUSPICIOUS_TRIES,
    Failure,
    FailureClass,
    classify,
    gone,
    mistaken,
    wait_for_first,
)
from collector.retry import Backoff
from collector.streams import BookStream, Stream

MOST_UNANSWERED = 3  # in a row, then the market is taken for one that has no book
LEAST_PAUSE_S = 0.05


class UnverifiedBooks(Subscriptions):
    """The streams of one connection whose books ccxt keeps. Lives in the websocket thread's loop."""

    def __init__(
        self,
        streams: Sequence[Stream],
        context: ConnectionContext,
        resyncs: Resyncs,
        socket: UnverifiedSocket,
        backoff: Backoff,
    ) -> None:
        super().__init__(streams, context, resyncs)
        self._socket = socket
        socket.on_book = self.on_book
        self._backoff = backoff
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._rest_checks = RestChecks(context.monotonic_s)
        self._unanswered: dict[str, int] = {}
        self._suspicious: dict[str, int] = {}
        self._sequences: dict[str, int] = {}
        self._unnumbered: set[str] = set()  # markets whose numbers turned out to mean nothing
        self._serving = False
        self._has_book = False  # on this socket
        self._frame_at_ns = 0  # receipt of the last frame
        self._book_at_ns = 0  # receipt of the last book

    @property
    def watching(self) -> bool:
        """Return whether any market is watched."""
        return bool(self._watches)

    @property
    def serves(self) -> bool:
        """Return whether any book came on this socket."""
        return self._has_book

    def take_frame(self, text: str, received_at_ns: int) -> bool:
        """Stamp a frame and leave it to ccxt: returns False."""
        del text
        self._frame_at_ns = received_at_ns
        return False

    def on_book(self, book: Any, *, in_frame: bool) -> None:
        """Take a book as it stands after a message."""
        received_at_ns = self._frame_at_ns if in_frame else self._context.clock.now_ns()
        # A frame may hold several messages of one market: the order in which they stood there is kept.
        self._book_at_ns = max(received_at_ns, self._book_at_ns + 1)
        self.take_book(book, self._book_at_ns)

    def take_book(self, book: Any, received_at_ns: int) -> None:
        """Store the state of ccxt's book in each stream of its market. Does not raise."""
        try:
            symbol = book["symbol"]
            streams = [one for one in self.books if one.key.symbol == symbol]
            if not streams or not (book["bids"] or book["asks"]):
                return
            depth = max(one.topic.depth for one in streams)
            bids = [(float(level[0]), float(level[1])) for level in book["bids"][:depth]]
            asks = [(float(level[0]), float(level[1])) for level in book["asks"][:depth]]
            sequence, exchange_ms = self._number(symbol, book["nonce"]), _whole(book["timestamp"])
            self._has_book = True
            self._unanswered.pop(symbol, None)
            self._suspicious.pop(symbol, None)
            for stream in streams:
                topic = stream.topic
                message = Snapshot(
                    topic.name, sequence, exchange_ms, bids[: topic.depth], asks[: topic.depth]
                )
                if not stream.verified:
                    self._context.refused.accepted(stream.key)
                outcome = stream.take(message, received_at_ns, self._context.liveness)
                if outcome.did is Did.BROKE:
                    self.broke(stream, outcome)
                    self._resyncs.asked([topic.name], self._context.monotonic_s())  # the next message shows
        except Exception as error:  # noqa: BLE001  (raised into ccxt's receive loop it would end the stream)
            self._socket.give_up(mistaken(repr(error)))

    def tells_apart(self, stream: Stream) -> bool:
        """Return whether a stream could be added: each is read off its market's book."""
        return stream.topic.name not in self._streams

    def add(self, stream: Stream) -> None:
        """Collect a stream as well; the others are not disturbed."""
        super().add(stream)
        if self._serving:
            stream.asked()
            self._start_watch(stream.key.symbol)

    async def begin(self, on_connected: Callable[[], None]) -> None:
        """Make ccxt watch every market; returns when a socket is open."""
        self._to_leave.clear()
        self._serving, self._has_book = True, False
        now_s = self._context.monotonic_s()
        self._resyncs.asked([one.topic.name for one in self.books], now_s)
        for symbol in dict.fromkeys(one.key.symbol for one in self.books):
            self._start_watch(symbol)
        for stream in self.books:
            stream.asked()
        if self._watches:
            await self._socket.until_up()
            on_connected()

    async def go_on(self) -> None:
        """Leave what was removed, and check the books that are silent."""
        while self._to_leave:
            await self._leave(self._to_leave.pop(0).key.symbol)
        now_ns, now_s = self._context.clock.now_ns(), self._context.monotonic_s()
        for topic in self._resyncs.due(self.books, now_ns, now_s):
            stream = self._streams[topic]
            assert isinstance(stream, BookStream)  # noqa: S101  (`due` was asked about books)
            self._resyncs.asked([topic], now_s)
            if stream.verified:
                self._resyncs.answered(topic, now_s, quiet=True)  # until REST says otherwise
                self._rest_checks.start(stream, self._socket.exchange, self._restart_stale)
            else:
                self._give_up_without_book(stream)
                break  # the others may have been touched

    def abandon(self, reason: str) -> None:
        """Do nothing: no request of ours waits for an answer."""

    def lose_all(self, cause: str, detail: str) -> None:
        """End the segments of all streams: what fed them is gone."""
        self._serving = False
        self._sequences.clear()
        self._rest_checks.cancel()
        for task in self._watches.values():
            task.cancel()
        self._watches.clear()
        super().lose_all(cause, detail)

    def _number(self, symbol: str, nonce: Any) -> int | None:
        """Return a book's number, where each state has a higher one than the state before."""
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

    def _start_watch(self, symbol: str) -> None:
        if symbol not in self._watches:
            self._watches[symbol] = asyncio.create_task(self._watch(symbol))

    async def _watch(self, symbol: str) -> None:
        """Make ccxt watch a market for as long as the socket is open; books arrive by `on_book`."""
        failures = 0
        while self._socket.failure is None:
            try:
                await self._socket.exchange.watch_order_book(symbol)
            except ccxt.BaseError as error:
                failure = classify(error, self._context.exchange)
            except asyncio.CancelledError:
                return  # by us, or by ccxt, whose socket is being closed
            except Exception as error:  # noqa: BLE001  (a mistake in ccxt's file of that exchange)
                failure = classify(error, self._context.exchange)
            else:
                failures = 0
                await asyncio.sleep(LEAST_PAUSE_S)
                continue
            if self._socket.failure is not None or self._failed(symbol, failure):
                return
            await asyncio.sleep(max(LEAST_PAUSE_S, self._backoff.wait_s(failures)))
            failures += 1

    def _failed(self, symbol: str, failure: Failure) -> bool:
        """Handle a failure that ccxt reports of one market; True when the watch is over."""
        if failure.is_of_access:
            self._socket.give_up(failure)  # of us, not of the market: the connection is tried again slowly
            return True
        if failure.kind is FailureClass.PERMANENT:
            if not self._is_about(symbol, failure):
                return False
            self._refuse_market(symbol, str(failure))
            return True
        self._suspicious[symbol] = self._suspicious.get(symbol, 0) + failure.suspicious
        if self._suspicious[symbol] == MOST_SUSPICIOUS_TRIES:
            self._context.halt("unreachable", f"{failure}; tries go on", symbol)
        if failure.kind is FailureClass.RESYNC:
            self._lose(symbol, failure.cause, failure.detail)
        return False

    def _is_about(self, symbol: str, failure: Failure) -> bool:
        """Return whether a refusal means this market: ccxt raises some in every watch."""
        names = {name: one.key.symbol for one in self.books for name in (one.key.symbol, one.topic.market_id)}
        named = max((name for name in names if name in failure.detail), key=len, default=None)
        if named is not None:
            return names[named] == symbol
        self._unanswered[symbol] = self._unanswered.get(symbol, 0) + 1  # until a book comes
        return self._unanswered[symbol] >= MOST_UNANSWERED

    def _restart_stale(self, symbol: str, detail: str) -> None:
        """Dial again: REST is ahead of a silent market."""
        self._lose(symbol, "stale", detail)
        self._socket.give_up(gone("stale", f"{symbol} {detail}"))

    def _give_up_without_book(self, stream: BookStream) -> None:
        """Dial again for a market whose book did not come in time; refuse the market after some times.

        Where no book of any market comes, it is the exchange that does not serve: that passes.
        """
        symbol = stream.key.symbol
        count = self._unanswered[symbol] = self._unanswered.get(symbol, 0) + 1
        others_come = any(one.verified for one in self.books if one.key.symbol != symbol)
        if count >= MOST_UNANSWERED and others_come:
            self._refuse_market(symbol, f"no book came, {count} times")
        else:
            self._socket.give_up(gone("no_book", f"none of {symbol} in time"))

    def _refuse_market(self, symbol: str, words: str) -> None:
        for stream in self.books:
            if stream.key.symbol == symbol:
                self._refuse(stream.topic.name, words)
        watch = self._watches.pop(symbol, None)
        if watch is not None and watch is not asyncio.current_task():
            watch.cancel()

    async def _leave(self, symbol: str) -> None:
        """Make ccxt stop watching a market that no stream is read off any more."""
        if any(one.key.symbol == symbol for one in self.books):
            return
        self._sequences.pop(symbol, None)
        watch = self._watches.pop(symbol, None)
        if watch is not None:
            watch.cancel()
        exchange = self._socket.exchange
        if exchange is not None and exchange.has.get("unWatchOrderBook"):
            leaving = asyncio.ensure_future(exchange.un_watch_order_book(symbol))
            leaving.add_done_callback(_ignore_result)
            await wait_for_first(asyncio.shield(leaving), timeout_s=LEAST_PAUSE_S)


def _whole(value: Any) -> int | None:
    """Return a whole number that a column can hold, or None."""
    return value if isinstance(value, int) and 0 <= value <= INT64_MAX else None


def _ignore_result(task: "asyncio.Future[Any]") -> None:
    """Retrieve an error that nobody waits for: some exchanges answer with one."""
    if not task.cancelled():
        task.exception()
