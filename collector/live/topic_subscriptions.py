"""Subscribe topics by requests, each beside the others: nobody waits for another's answer."""

from collections.abc import Callable, Sequence

from collector.live.book_requests import Acts, BookRequests
from collector.live.context import ConnectionContext
from collector.live.requests import Requests
from collector.live.resync import Resyncs
from collector.live.subscriptions import Subscriptions
from collector.live.under_way import UnderWay
from collector.network.snapshots import Snapshots
from collector.streams.book_stream import BookStream
from collector.streams.router import Router
from collector.streams.stream import Stream


class TopicSubscriptions(Subscriptions):
    """The streams of one connection, each subscribed by its topic. Lives in the websocket thread's loop."""

    def __init__(
        self,
        streams: Sequence[Stream],
        context: ConnectionContext,
        resyncs: Resyncs,
        requests: Requests,
        router: Router,
        snapshots: Snapshots | None,
    ) -> None:
        super().__init__(streams, context, resyncs)
        self._requests = requests
        self._router = router
        self._to_subscribe: list[str] = []
        self._wire = UnderWay(context.wake)  # requests whose answers the serve loop does not wait for
        acts = Acts(self._collects, self.broke, self._refuse, self._resubscribe)
        self._book_requests = BookRequests(context, resyncs, snapshots, self._wire, acts)
        for stream in streams:
            router.add(stream)

    def tells_apart(self, stream: Stream) -> bool:
        """Return whether a stream could be added, its frames told apart from the others'."""
        return self._router.tells_apart(stream)

    def add(self, stream: Stream) -> None:
        """Collect a stream as well; the others are not disturbed."""
        self._router.add(stream)
        self._to_subscribe.append(stream.topic.name)
        super().add(stream)

    async def begin(self, on_connected: Callable[[], None]) -> None:
        """Subscribe everything on a new socket, which is open."""
        on_connected()
        self._to_subscribe.clear()
        while self._to_leave:  # the new socket never subscribed them
            self._router.drop(self._to_leave.pop())
        await self._subscribe(list(self._streams))

    async def go_on(self) -> None:
        """Begin to subscribe what was added, leave what was removed, fetch the books that need it now."""
        self._wire.raise_failure()
        for stream in self._to_leave:
            if isinstance(stream, BookStream):
                self._book_requests.forget(stream)
            if stream.topic.name not in self._wire:
                self._wire.start([stream.topic.name], self._leave(stream))
        wanted = [topic for topic in self._to_subscribe if topic in self._streams]
        self._to_subscribe = [topic for topic in wanted if topic in self._wire]  # once that is over
        topics = [topic for topic in wanted if topic not in self._wire]
        if topics:
            self._wire.start(topics, self._subscribe(topics))
        self._book_requests.look(self.books)

    def abandon(self, reason: str) -> None:
        """Fail the requests that wait for an answer: the socket is gone."""
        self._requests.abandon(reason)

    def lose_all(self, cause: str, detail: str) -> None:
        """End the segments of all streams: the socket that fed them is gone."""
        self._wire.cancel_all()
        self._book_requests.give_up_all()
        super().lose_all(cause, detail)

    async def _leave(self, stream: Stream) -> None:
        """Leave the topic of a stream that was removed; its frames are nobody's from then on."""
        await self._unsubscribe(stream.topic.name)
        self._router.drop(stream)
        self._to_leave.remove(stream)

    async def _resubscribe(self, stream: BookStream, *, is_question: bool) -> None:
        """Leave a topic and subscribe it again: that brings a snapshot."""
        await self._unsubscribe(stream.topic.name)
        if self._collects(stream):
            stream.in_question = is_question  # only from now on: what came before was no answer
            await self._subscribe([stream.topic.name])

    async def _unsubscribe(self, topic: str) -> None:
        request_id = self._requests.new_id()
        await self._requests.ask(request_id, self._context.protocol.topics.unsubscribe([topic], request_id))

    async def _subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe topics; a request refused as a whole is repeated topic by topic."""
        wire = self._context.protocol.topics
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
        """Open the streams that the exchange confirmed: trades and bars now, books with their snapshots."""
        streams = [self._streams[topic] for topic in topics if topic in self._streams]
        now_ns, now_s = self._context.clock.now_ns(), self._context.monotonic_s()
        for stream in streams:
            stream.subscribed(now_ns, self._context.liveness)
        books = [stream for stream in streams if isinstance(stream, BookStream)]
        by_rest = [book.topic.name for book in books if book.by_rest]
        self._resyncs.wanted(by_rest, now_s)
        self._resyncs.asked([book.topic.name for book in books if not book.by_rest], now_s)
        if by_rest:
            self._context.wake.set()

    def _refuse(self, topic: str, words: str) -> None:
        self._router.drop(self._streams[topic])
        super()._refuse(topic, words)
