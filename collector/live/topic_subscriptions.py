"""Subscribe topics by requests, each beside the others: nobody waits for another's answer."""

from collections.abc import Callable, Sequence

from collector.events import Ack
from collector.live.book_requests import Acts, BookRequests
from collector.live.context import ConnectionContext
from collector.live.put_off import PutOffStreams
from collector.live.refusals import Meaning, meaning_of
from collector.live.requests import Requests
from collector.live.resync import Resyncs
from collector.live.subscriptions import Subscriptions
from collector.live.under_way import UnderWay
from collector.network import Snapshots
from collector.streams import RETIRED, BookStream, CandleStream, Router, Stream


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
        put_off: PutOffStreams,
    ) -> None:
        super().__init__(streams, context, resyncs)
        self._requests = requests
        self._router = router
        self._put_off = put_off
        self._to_subscribe: list[str] = []
        self._wire = UnderWay(context.wake)  # requests whose answers the serve loop does not wait for
        acts = Acts(self._collects, self.broke, self._refuse, self._resubscribe)
        self._book_requests = BookRequests(context, resyncs, snapshots, self._wire, acts)
        for stream in streams:
            router.add(stream)

    def tells_apart(self, stream: Stream) -> bool:
        """Return whether a stream could be added: nothing else that the exchange takes it for is there."""
        name = self._context.protocol.topics.one_a_connection
        here = (*self._streams.values(), *self._to_leave)
        is_single = all(name(one.topic.name) != name(stream.topic.name) for one in here)
        return is_single and self._router.tells_apart(stream)

    def add(self, stream: Stream) -> None:
        """Collect a stream as well; the others are not disturbed."""
        self._router.add(stream)
        self._to_subscribe.append(stream.topic.name)
        super().add(stream)

    def remove(self, stream: Stream, cause: str = RETIRED) -> None:
        """Stop collecting a stream; what it still sends is counted and not stored."""
        super().remove(stream, cause)
        self._put_off.schedule.forget(stream.topic.name)

    async def begin(self, on_connected: Callable[[], None]) -> None:
        """Subscribe everything on a new socket, which is open."""
        on_connected()
        self._to_subscribe.clear()
        while self._to_leave:  # the new socket never subscribed them
            self._router.drop(self._to_leave.pop())
        await self._subscribe(list(self._streams))

    async def go_on(self) -> None:
        """Begin to subscribe what was added, leave what was removed, fetch the books that need it now."""
        books, now_ns = self.books, self._context.clock.now_ns()
        for book in books:
            book.give_up_waiting(now_ns)
        self._wire.raise_failure()
        for stream in self._streams.values():
            if isinstance(stream, CandleStream) and stream.topic.name not in self._wire:
                self._look_at_bars(stream, now_ns)
        for stream in self._to_leave:
            if isinstance(stream, BookStream):
                self._book_requests.forget(stream)
            if stream.topic.name not in self._wire:
                self._wire.start([stream.topic.name], self._leave(stream))
        self._to_subscribe += self._put_off.schedule.take_due(self._context.monotonic_s())
        wanted = [topic for topic in self._to_subscribe if topic in self._streams]
        self._to_subscribe = [topic for topic in wanted if topic in self._wire]  # once that is over
        topics = [topic for topic in wanted if topic not in self._wire]
        if topics:
            self._wire.start(topics, self._subscribe(topics))
        put_off = self._put_off.schedule
        self._book_requests.look([book for book in books if not put_off.waits(book.topic.name)])

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

    def _look_at_bars(self, stream: CandleStream, now_ns: int) -> None:
        """Doubt bars that tell nothing of the trades of their market, and subscribe them anew."""
        patience_s = self._resyncs.stale_after_s + self._context.protocol.bars_within_s
        if stream.stalls(now_ns, patience_s):
            stream.lose("stale", "silent, though the market trades", alive_until_ns=None)
            self._wire.start([stream.topic.name], self._subscribe_anew(stream))

    async def _subscribe_anew(self, stream: CandleStream) -> None:
        await self._unsubscribe(stream.topic.name)
        await self._subscribe([stream.topic.name])  # if it is collected still

    async def _resubscribe(self, stream: BookStream, *, is_question: bool) -> None:
        """Leave a topic and subscribe it again: that brings a snapshot."""
        if await self._unsubscribe(stream.topic.name) is Meaning.PASSING:
            if self._collects(stream):  # still subscribed: asked again, it would bring nothing
                self._resyncs.failed(stream.topic.name, self._context.monotonic_s())
        elif self._collects(stream):
            if stream.verified and not is_question:  # a whole message mended it before its topic was left
                stream.lose("restart", "subscribed anew", alive_until_ns=None)
            stream.in_question = is_question  # only from now on: what came before was no answer
            await self._subscribe([stream.topic.name])

    async def _unsubscribe(self, topic: str) -> Meaning | None:
        """Leave a topic; returns what a refusal meant, None for none. It does no harm: frames are counted."""
        request_id = self._requests.new_id()
        request = self._context.protocol.topics.unsubscribe([topic], request_id)
        refusals = [ack for ack in await self._requests.ask(request_id, request) if not ack.accepted]
        if not refusals:
            return None
        self._put_off.unsubscribe_refused(topic, refusals[0].text)
        return meaning_of(refusals[0].text, self._context.protocol.refusals)

    async def _subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe those topics that are collected, request by request."""
        wire = self._context.protocol.topics
        for some in wire.requests([topic for topic in topics if topic in self._streams]):
            # Some may be removed while answers are waited for, and others come under their names.
            asked = [self._streams[topic] for topic in some if topic in self._streams]
            if not asked:
                continue
            for stream in asked:
                stream.asked()
            names = [stream.topic.name for stream in asked]
            request_id = self._requests.new_id()
            request = wire.subscribe(names, request_id)
            expected = len(names) if wire.answers_each else 1
            for ack in await self._requests.ask(request_id, request, expected):
                answered = [one for one in asked if ack.topic in {None, one.topic.name}]
                asked = [one for one in asked if one not in answered]
                await self._settle([one for one in answered if self._collects(one)], ack)

    async def _settle(self, streams: Sequence[Stream], ack: Ack) -> None:
        """Do what an answer about these streams calls for."""
        if not streams:
            return
        meaning = None if ack.accepted else meaning_of(ack.text, self._context.protocol.refusals)
        topics = [stream.topic.name for stream in streams]
        if meaning is None:
            self._accepted(streams)
        elif meaning is Meaning.PASSING:
            self._put_off.put_off(streams, meaning, ack.text)
        elif len(streams) > 1:  # it does not say which of them it is about
            for topic in topics:
                await self._subscribe([topic])
        elif meaning is Meaning.ALREADY:
            self._accepted(streams)
            for stream in streams:
                if isinstance(stream, BookStream) and not (stream.verified or stream.by_rest):
                    self._resyncs.failed(stream.topic.name, self._context.monotonic_s())  # no snapshot comes
        elif meaning is Meaning.PERMANENT:
            self._refuse(topics[0], ack.text)
        else:
            self._put_off.put_off(streams, meaning, ack.text)

    def _accepted(self, streams: Sequence[Stream]) -> None:
        """Open the streams that the exchange confirmed: trades and bars now, books with their snapshots."""
        now_ns, now_s = self._context.clock.now_ns(), self._context.monotonic_s()
        for stream in streams:
            self._put_off.schedule.forget(stream.topic.name)
            if not (isinstance(stream, BookStream) and stream.by_rest):  # REST may refuse it yet
                self._context.refused.accepted(stream.key)
            stream.subscribed(now_ns, self._context.liveness)
        books = [stream for stream in streams if isinstance(stream, BookStream)]
        by_rest = [book.topic.name for book in books if book.by_rest]
        self._resyncs.wanted(by_rest, now_s)
        self._resyncs.asked([book.topic.name for book in books if not book.by_rest], now_s)
        if by_rest:
            self._context.wake.set()

    def _refuse(self, topic: str, words: str) -> None:
        self._router.drop(self._streams[topic])
        self._put_off.schedule.forget(topic)
        super()._refuse(topic, words)
