"""Subscribe topics by requests, and fetch the snapshots that the exchange gives by REST only."""

import asyncio
from collections.abc import Callable, Sequence

from collector.book.bridged import STALE_SNAPSHOT
from collector.book.verified import Did
from collector.errors import StreamError
from collector.events.messages import Ack, Snapshot
from collector.events.notices import SnapshotFailed
from collector.live.context import ConnectionContext
from collector.live.put_off import PutOffStreams
from collector.live.refusals import Meaning, meaning_of
from collector.live.requests import Requests
from collector.live.resync import Resyncs
from collector.live.subscriptions import Subscriptions
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
        put_off: PutOffStreams,
    ) -> None:
        super().__init__(streams, context, resyncs)
        self._requests = requests
        self._router = router
        self._snapshots = snapshots
        self._put_off = put_off
        self._to_subscribe: list[str] = []
        self._fetches: set[asyncio.Task[None]] = set()
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

    def remove(self, stream: Stream) -> None:
        """Stop collecting a stream; what it still sends is counted and not stored."""
        super().remove(stream)
        self._put_off.schedule.forget(stream.topic.name)

    async def begin(self, on_connected: Callable[[], None]) -> None:
        """Subscribe everything on a new socket, which is open."""
        on_connected()
        self._to_subscribe.clear()
        while self._to_leave:  # the new socket never subscribed them
            self._router.drop(self._to_leave.pop())
        await self._subscribe(list(self._streams))

    async def go_on(self) -> None:
        """Subscribe what was added, leave what was removed, fetch again the books that need it now."""
        while self._to_leave:
            await self._unsubscribe(self._to_leave[0].topic.name)
            self._router.drop(self._to_leave.pop(0))
        self._to_subscribe += self._put_off.schedule.take_due(self._context.monotonic_s())
        if self._to_subscribe:
            topics = [topic for topic in self._to_subscribe if topic in self._streams]
            self._to_subscribe.clear()
            await self._subscribe(topics)
        await self._refresh()

    def abandon(self, reason: str) -> None:
        """Fail the requests that wait for an answer: the socket is gone."""
        self._requests.abandon(reason)

    def lose_all(self, cause: str, detail: str) -> None:
        """End the segments of all streams: the socket that fed them is gone."""
        for task in self._fetches:
            task.cancel()
        super().lose_all(cause, detail)

    async def _refresh(self) -> None:
        now_ns, now_s = self._context.clock.now_ns(), self._context.monotonic_s()
        books = [book for book in self.books if not self._put_off.schedule.waits(book.topic.name)]
        for stream in books:
            if stream.in_question and self._resyncs.is_unanswered(stream, now_ns, now_s):
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
                await self._resubscribe(due)

    async def _resubscribe(self, stream: BookStream) -> None:
        """Leave a topic and subscribe it again: that brings a snapshot."""
        topic = stream.topic.name
        if await self._unsubscribe(topic) is Meaning.PASSING:
            if self._collects(stream):  # still subscribed: asked again, it would bring nothing
                stream.in_question = False
                self._resyncs.failed(topic, self._context.monotonic_s())
            return
        await self._subscribe([topic])

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

    def _start_fetch(self, stream: BookStream) -> None:
        stream.expect_snapshot(True)
        task = asyncio.create_task(self._fetch(stream))
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)

    async def _fetch(self, stream: BookStream) -> None:
        """Fetch a book's snapshot by REST and join the stream to it; schedule another when anything fails."""
        assert self._snapshots is not None  # noqa: S101  (the feed makes both or none)
        topic = stream.topic
        try:
            snapshot = await self._snapshots.fetch(topic.market_id, topic.kind, topic.depth, topic.name)
            if self._collects(stream):
                self._join(stream, snapshot)
        except StreamError as error:
            self._fetch_failed(stream, error)
        except Exception as error:  # noqa: BLE001  (a fault of ours, or an answer nobody expected)
            self._context.halt("internal_error", repr(error), stream.key.symbol)
            self._fetch_failed(stream, StreamError(repr(error)))
        finally:
            stream.expect_snapshot(False)

    def _join(self, stream: BookStream, snapshot: Snapshot) -> None:
        outcome = stream.take(snapshot, self._context.clock.now_ns(), self._context.liveness)
        if outcome.did is Did.BROKE:
            self.broke(stream, outcome)
        elif outcome.did is Did.REJECTED and outcome.reason == STALE_SNAPSHOT:
            self._resyncs.failed(stream.topic.name, self._context.monotonic_s())
        elif outcome.did is Did.REJECTED:
            self._fetch_failed(stream, StreamError(f"{outcome.reason}: {outcome.detail}"))
        else:
            self._context.refused.accepted(stream.key)

    def _fetch_failed(self, stream: BookStream, error: StreamError) -> None:
        """Publish that a book's snapshot did not come, and schedule another."""
        if not self._collects(stream):
            return  # removed meanwhile
        if error.permanent:
            self._refuse(stream.topic.name, str(error))
            return
        self._resyncs.failed(stream.topic.name, self._context.monotonic_s())
        key, now_ns = stream.key, self._context.clock.now_ns()
        self._context.events.publish(SnapshotFailed(key.exchange, key.symbol, now_ns, str(error)))

    def _refuse(self, topic: str, words: str) -> None:
        self._router.drop(self._streams[topic])
        self._put_off.schedule.forget(topic)
        super()._refuse(topic, words)
