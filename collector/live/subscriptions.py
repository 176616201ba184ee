"""Keep what one connection collects: which topics are asked for, and which books are owed a snapshot."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collector.book.bridged import STALE_SNAPSHOT
from collector.book.verified import Did, Outcome
from collector.clock import Clock
from collector.errors import StreamError
from collector.events.batch import Liveness
from collector.events.bus import EventBus
from collector.events.messages import Snapshot
from collector.events.notices import PotentialHalt, SnapshotFailed
from collector.exchanges.exchange import Exchange
from collector.live.requests import Requests
from collector.live.resync import Resyncs
from collector.network.snapshots import Snapshots
from collector.streams.book_stream import BookStream
from collector.streams.router import Router
from collector.streams.stream import Stream


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a connection's parts have in common."""

    exchange: str
    protocol: Exchange
    clock: Clock
    events: EventBus
    monotonic_s: Callable[[], float]

    def halt(self, code: str, reason: str, symbol: str | None = None) -> None:
        """Tell that something went wrong so often, or so finally, that trading should perhaps stop."""
        self.events.publish(PotentialHalt(self.exchange, code, reason, self.clock.now_ns(), symbol))


class Subscriptions:
    """The streams of one connection. Lives in the websocket thread's loop."""

    def __init__(
        self,
        streams: Sequence[Stream],
        around: Surroundings,
        requests: Requests,
        resyncs: Resyncs,
        snapshots: Snapshots | None,
        liveness: Liveness,
        wake: Callable[[], None],
        router: Router,
    ) -> None:
        self.refused: list[str] = []  # streams that the exchange will not give, in words
        self._streams = {stream.topic: stream for stream in streams}
        self._router = router
        for stream in streams:
            router.add(stream)
        self._to_subscribe: list[str] = []
        self._to_leave: list[Stream] = []
        self._around = around
        self._requests = requests
        self._resyncs = resyncs
        self._snapshots = snapshots
        self._liveness = liveness
        self._wake = wake
        self._fetches: set[asyncio.Task[None]] = set()
        for book in self.books:
            book.on_doubt = self.broke

    @property
    def streams(self) -> list[Stream]:
        """List what is collected."""
        return list(self._streams.values())

    @property
    def books(self) -> list[BookStream]:
        """List the books that are collected."""
        return [stream for stream in self._streams.values() if isinstance(stream, BookStream)]

    def tells_apart(self, stream: Stream) -> bool:
        """Say whether a stream could be added, its frames told apart from the others'."""
        return self._router.tells_apart(stream)

    def add(self, stream: Stream) -> None:
        """Collect a stream as well; the others notice nothing."""
        self._streams[stream.topic] = stream
        self._router.add(stream)
        if isinstance(stream, BookStream):
            stream.on_doubt = self.broke
        self._to_subscribe.append(stream.topic)
        self._wake()

    def remove(self, stream: Stream) -> None:
        """Collect a stream no longer; what still comes of it is counted and not stored."""
        del self._streams[stream.topic]
        self._resyncs.forget(stream.topic)
        stream.retire(self._liveness.heard_ns)
        self._to_leave.append(stream)
        self._wake()

    async def begin(self) -> None:
        """Subscribe everything on a new socket."""
        self._to_subscribe.clear()
        while self._to_leave:  # nobody has to tell the new socket
            self._router.drop(self._to_leave.pop())
        await self._subscribe(list(self._streams))

    async def go_on(self) -> None:
        """Subscribe what was added, leave what was removed, fetch again the books that need it now."""
        while self._to_leave:
            await self._unsubscribe(self._to_leave[0].topic)
            self._router.drop(self._to_leave.pop(0))
        if self._to_subscribe:
            topics = [topic for topic in self._to_subscribe if topic in self._streams]
            self._to_subscribe.clear()
            await self._subscribe(topics)
        await self._refresh()

    def lose_all(self, cause: str, detail: str) -> None:
        """Let go of every book: the socket that fed them is gone."""
        for task in self._fetches:
            task.cancel()
        for stream in self._streams.values():
            stream.lose(cause, detail, self._liveness.heard_ns)

    async def _refresh(self) -> None:
        now_ns, now_s = self._around.clock.now_ns(), self._around.monotonic_s()
        books = self.books
        for stream in books:
            if stream.in_question and self._resyncs.unanswered(stream, now_ns, now_s):
                stream.lose("stale", "silent, and no snapshot when asked for one", alive_until_ns=None)
        for topic in self._resyncs.due(books, now_ns, now_s):
            due = self._streams.get(topic)
            if not isinstance(due, BookStream):
                continue  # removed while another one's answer was waited for
            due.in_question = due.verified and not due.near_the_edge
            if due.by_rest:
                self._resyncs.asked([topic], now_s)
                self._start_fetch(due)
            else:
                await self._unsubscribe(topic)
                await self._subscribe([topic])

    async def _unsubscribe(self, topic: str) -> None:
        request_id = self._requests.new_id()
        await self._requests.ask(request_id, self._around.protocol.topics.unsubscribe([topic], request_id))

    async def _subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe; a request refused as a whole is tried topic by topic."""
        wire = self._around.protocol.topics
        for some in wire.requests(topics):
            request_id = self._requests.new_id()
            for topic in some:
                if topic in self._streams:
                    self._streams[topic].asked()
            expected = len(some) if wire.answers_each else 1
            request = wire.subscribe(some, request_id)
            for ack in await self._requests.ask(request_id, request, expected):
                answered = some if ack.topic is None else [ack.topic]
                if ack.accepted:
                    self._accepted(answered)
                elif len(answered) > 1:
                    for topic in answered:
                        await self._subscribe([topic])
                else:
                    self._refuse(answered[0], ack.text)

    def _accepted(self, topics: Sequence[str]) -> None:
        """Note what the exchange confirmed: trades and bars begin now, books with their snapshots."""
        streams = [self._streams[topic] for topic in topics if topic in self._streams]
        now_ns, now_s = self._around.clock.now_ns(), self._around.monotonic_s()
        for stream in streams:
            stream.subscribed(now_ns, self._liveness)
        books = [stream for stream in streams if isinstance(stream, BookStream)]
        by_rest = [book.topic for book in books if book.by_rest]
        self._resyncs.wanted(by_rest, now_s)
        self._resyncs.asked([book.topic for book in books if not book.by_rest], now_s)
        if by_rest:
            self._wake()

    def _start_fetch(self, stream: BookStream) -> None:
        stream.expect_snapshot(True)
        task = asyncio.create_task(self._fetch(stream))
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)

    async def _fetch(self, stream: BookStream) -> None:
        """Fetch a book's snapshot by REST and join the stream to it; when anything goes wrong, try again."""
        assert self._snapshots is not None  # noqa: S101  (the feed makes both or none)
        place = stream.place
        try:
            snapshot = await self._snapshots.fetch(place.market_id, place.kind, place.depth, place.topic)
            if self._collects(stream):
                self._join(stream, snapshot)
        except StreamError as error:
            self._not_fetched(stream, error)
        except Exception as error:  # noqa: BLE001  (a fault of ours, or an answer nobody expected)
            self._around.halt("internal_error", repr(error), stream.key.symbol)
            self._not_fetched(stream, StreamError(repr(error)))
        finally:
            stream.expect_snapshot(False)

    def _join(self, stream: BookStream, snapshot: Snapshot) -> None:
        outcome = stream.take(snapshot, self._around.clock.now_ns(), self._liveness)
        if outcome.did is Did.BROKE:
            self.broke(stream, outcome)
        elif outcome.did is Did.REJECTED and outcome.reason == STALE_SNAPSHOT:
            self._resyncs.failed(stream.topic, self._around.monotonic_s())
        elif outcome.did is Did.REJECTED:
            self._not_fetched(stream, StreamError(f"{outcome.reason}: {outcome.detail}"))

    def _not_fetched(self, stream: BookStream, error: StreamError) -> None:
        """Tell that a book's snapshot did not come, and see to it that another is asked for."""
        if not self._collects(stream):
            return  # removed meanwhile
        if error.permanent:
            self._refuse(stream.topic, str(error))
            return
        self._resyncs.failed(stream.topic, self._around.monotonic_s())
        key, now_ns = stream.key, self._around.clock.now_ns()
        self._around.events.publish(SnapshotFailed(key.exchange, key.symbol, now_ns, str(error)))

    def _collects(self, stream: BookStream) -> bool:
        return self._streams.get(stream.topic) is stream

    def broke(self, stream: Stream, outcome: Outcome) -> None:
        """See to it that a book which broke is fetched again."""
        if self._resyncs.broke(stream.topic, self._around.monotonic_s()):
            reason = f"{stream.key.channel}: {outcome.detail}"
            self._around.halt(outcome.reason, reason, stream.key.symbol)
        self._wake()

    def _refuse(self, topic: str, words: str) -> None:
        """Stop asking for a topic that the exchange does not have; the others go on."""
        stream = self._streams.pop(topic)
        self._router.drop(stream)
        stream.lose("refused", words, alive_until_ns=None)
        self._resyncs.forget(topic)
        key = stream.key
        self.refused.append(f"{key.exchange}: {key.symbol} {key.channel} refused: {words}")
        self._around.halt("subscription_refused", f"{topic}: {words}", key.symbol)
