"""Fetch the books of one connection that need it, and find out why the silent ones are silent.

A silent stream is in doubt only by an answer that differs from it, or by a question that went out and was not
answered in time. Where REST has the state of a stream it is asked first: a new subscription brings the state
as well, but misses what changes between leaving and joining.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from collector.book import STALE_SNAPSHOT, Did, Outcome
from collector.errors import StreamError
from collector.events import Snapshot, SnapshotFailed
from collector.live import resync
from collector.live.context import ConnectionContext
from collector.live.resync import Resyncs
from collector.live.under_way import UnderWay
from collector.network import Need, Snapshots, Turn
from collector.streams import BookStream


class Resubscribe(Protocol):
    """How a topic is left and subscribed again; a question's stream is in question from then on."""

    def __call__(self, stream: BookStream, *, is_question: bool) -> Coroutine[Any, Any, None]:
        """Leave the topic of a stream, and subscribe it again."""


@dataclass(frozen=True, slots=True)
class Acts:
    """What is done to the streams of the connection."""

    collects: Callable[[BookStream], bool]
    broke: Callable[[BookStream, Outcome], None]
    refuse: Callable[[str, str], None]
    resubscribe: Resubscribe


@dataclass(slots=True, eq=False)
class _Request:
    stream: BookStream
    turn: Turn
    silent_since_ns: int
    is_answered: bool = False

    @property
    def is_pointless(self) -> bool:
        """Return whether a verified book's request can be given up: the book broke meanwhile."""
        if self.stream.verified or not self.turn.need.can_wait:
            return False
        is_on_its_way = self.turn.is_sent and not self.is_answered
        return not (self.stream.by_rest and is_on_its_way)  # else its answer opens the book again


class BookRequests:
    """The requests for books of one connection. Lives in the websocket thread's loop."""

    def __init__(
        self,
        context: ConnectionContext,
        resyncs: Resyncs,
        snapshots: Snapshots | None,
        wire: UnderWay,
        acts: Acts,
    ) -> None:
        self._context = context
        self._resyncs = resyncs
        self._snapshots = snapshots
        self._wire = wire  # requests on the connection itself
        self._acts = acts
        self._by_rest = UnderWay(context.wake)
        self._requests: dict[str, _Request] = {}  # to REST
        self._suspects: dict[str, BookStream] = {}  # to be asked about by a new subscription
        self._asked: dict[str, tuple[BookStream, int]] = {}  # so, and since when they were silent
        self._shown: dict[str, Snapshot] = {}  # by REST, of streams that begin with the next change

    def look(self, books: Sequence[BookStream]) -> None:
        """Begin what is due, judge what was asked, give up what lost its point. Raises what failed."""
        self._by_rest.raise_failure()
        now_ns, now_s = self._context.clock.now_ns(), self._context.monotonic_s()
        self._judge_asked(now_ns, now_s)
        for name, request in list(self._requests.items()):
            if request.is_pointless or self._is_better_left(request, now_ns):
                self._give_up(name)
        free = [one for one in books if self._is_free(one)]
        for need, stream in self._resyncs.needs(free, now_ns, now_s):
            self._begin(need, stream, now_s)
        self._ask_next_suspect(now_ns)

    def forget(self, stream: BookStream) -> None:
        """Give up what is under way about a stream that is no longer collected."""
        name = stream.topic.name
        self._give_up(name)
        for each in (self._suspects, self._asked, self._shown):
            each.pop(name, None)

    def give_up_all(self) -> None:
        """Give up everything: the socket is gone."""
        self._by_rest.cancel_all()
        for each in (self._requests, self._suspects, self._asked, self._shown):
            each.clear()

    def _is_free(self, stream: BookStream) -> bool:
        name = stream.topic.name
        is_asked = stream.verified and (name in self._suspects or name in self._asked)
        return not (name in self._wire or name in self._by_rest or is_asked)

    def _is_better_left(self, request: _Request, now_ns: int) -> bool:
        """Return whether a question that waits for its turn is answered already, or has a quicker way."""
        if request.turn.is_sent or request.turn.need is not Need.QUESTION:
            return False
        return not self._resyncs.is_silent(request.stream, now_ns) or (
            not request.stream.by_rest and self._asks_the_stream(request.stream)
        )

    def _give_up(self, name: str) -> None:
        self._by_rest.cancel(name)
        self._requests.pop(name, None)

    def _begin(self, need: Need, stream: BookStream, now_s: float) -> None:
        name = stream.topic.name
        if stream.by_rest:
            self._start(stream, need, self._fetch)
        elif need is not Need.QUESTION and self._rest_has_states and not self._context.protocol.sends_state:
            self._start(stream, need, self._look_for_a_change)
        elif need is not Need.QUESTION:
            self._suspects.pop(name, None)
            self._resyncs.asked([name], now_s)
            self._wire.start([name], self._acts.resubscribe(stream, is_question=False))
        elif self._asks_the_stream(stream):
            self._suspects[name] = stream
        elif self._rest_has_states:
            self._start(stream, need, self._check)
        else:
            self._resyncs.answered(name, now_s, quiet=True)  # nobody can answer: no doubt either

    @property
    def _rest_has_states(self) -> bool:
        return self._snapshots is not None and self._snapshots.has_checks

    def _asks_the_stream(self, stream: BookStream) -> bool:
        """Return whether a silent stream is asked by a new subscription: REST cannot be asked now."""
        kind, rest = stream.topic.kind, self._snapshots if self._rest_has_states else None
        return self._context.protocol.sends_state and (rest is None or rest.is_closed(kind))

    def _start(
        self, stream: BookStream, need: Need, work: Callable[[_Request], Coroutine[Any, Any, None]]
    ) -> None:
        name = stream.topic.name

        def sent() -> None:
            self._resyncs.asked([name], self._context.monotonic_s())
            request.silent_since_ns = stream.last_update_at_ns

        request = _Request(stream, Turn(stream, need, sent), stream.last_update_at_ns)
        self._requests[name] = request
        self._by_rest.start([name], self._guarded(work, request))

    async def _guarded(
        self, work: Callable[[_Request], Coroutine[Any, Any, None]], request: _Request
    ) -> None:
        """Ask REST, and ask again later after a fault of ours, or an answer nobody expected."""
        stream, name = request.stream, request.stream.topic.name
        try:
            await work(request)
        except Exception as error:  # noqa: BLE001  (it must cost no other book anything)
            self._context.halt("internal_error", repr(error), stream.key.symbol)
            self._fetch_failed(stream, StreamError(repr(error)))
        finally:
            if self._requests.get(name) is request:
                del self._requests[name]

    async def _fetch(self, request: _Request) -> None:
        """Fetch a book's snapshot by REST and join the stream to it; schedule another when anything fails."""
        assert self._snapshots is not None  # noqa: S101  (the feed makes both or none)
        stream, turn, topic = request.stream, request.turn, request.stream.topic
        stream.expect_snapshot(True)
        try:
            snapshot = await self._snapshots.fetch(topic.market_id, topic.kind, topic.depth, topic.name, turn)
            request.is_answered = True
            if not self._acts.collects(stream):
                return
            if turn.need is Need.QUESTION and stream.verified:
                await self._compare(request, snapshot)
            else:
                self._join(stream, snapshot)
        except StreamError as error:
            if error.unanswered and self._is_still_silent(request):
                self._stalls(stream, f"silent, and no answer of REST: {error}")
            self._fetch_failed(stream, error)
        finally:
            stream.expect_snapshot(False)

    async def _compare(self, request: _Request, snapshot: Snapshot) -> None:
        """Compare a silent book with REST, once the stream had time to bring what REST has already."""
        stream = request.stream
        if _is_ahead(snapshot, stream):
            await asyncio.sleep(resync.PATIENCE_S)
        if not _is_ahead(snapshot, stream):
            self._resyncs.answered(stream.topic.name, self._context.monotonic_s(), quiet=True)
            self._join(stream, snapshot)
        elif self._is_still_silent(request):
            self._stalls(stream, f"silent at {stream.sequence}, and REST is at {snapshot.sequence}")
        else:
            self._resyncs.answered(stream.topic.name, self._context.monotonic_s(), quiet=False)

    async def _look_for_a_change(self, request: _Request) -> None:
        """Subscribe a stream anew that brought nothing yet, though its market moved since the last look."""
        stream, name = request.stream, request.stream.topic.name
        try:
            snapshot = await self._ask(request)
        except StreamError:
            self._resyncs.failed(name, self._context.monotonic_s())
            return
        before = self._shown.setdefault(name, snapshot)
        if (snapshot.bids, snapshot.asks) == (before.bids, before.asks):
            return
        await asyncio.sleep(resync.PATIENCE_S)
        self._shown.pop(name, None)
        if not stream.verified and self._acts.collects(stream) and name not in self._wire:
            self._wire.start([name], self._acts.resubscribe(stream, is_question=False))

    async def _check(self, request: _Request) -> None:
        """Compare a silent stream with the state that REST has; ask the stream itself where they differ."""
        stream, name, words = request.stream, request.stream.topic.name, ""
        try:
            snapshot = await self._ask(request)
            request.is_answered = True
            check = self._context.protocol.check
            difference = stream.difference(snapshot, 0.0 if check is None else check.size_step)
            if difference is None:
                self._resyncs.answered(name, self._context.monotonic_s(), quiet=True)
                return
            await asyncio.sleep(resync.PATIENCE_S)
            words = f"silent, and REST differs: {difference}"
        except StreamError as error:
            words = f"silent, and no answer of REST: {error}"
            if not (self._context.protocol.sends_state or error.unanswered):
                self._resyncs.failed(name, self._context.monotonic_s())
                return
        if not self._is_still_silent(request):
            self._resyncs.answered(name, self._context.monotonic_s(), quiet=False)
        elif self._context.protocol.sends_state:
            self._suspects[name] = stream
        else:
            self._stalls(stream, words)

    async def _ask(self, request: _Request) -> Snapshot:
        """Return the state of a stream as REST has it."""
        assert self._snapshots is not None  # noqa: S101  (looked at before)
        topic, channel = request.stream.topic, request.stream.key.channel
        return await self._snapshots.ask(topic.market_id, topic.kind, channel, topic.name, request.turn)

    def _is_still_silent(self, request: _Request) -> bool:
        stream = request.stream
        is_silent = stream.last_update_at_ns == request.silent_since_ns
        is_question = request.turn.need is Need.QUESTION
        return is_question and is_silent and stream.verified and self._acts.collects(stream)

    def _stalls(self, stream: BookStream, detail: str) -> None:
        """End the segment of a stream that stands while its market moves, and subscribe it anew."""
        name = stream.topic.name
        self._resyncs.answered(name, self._context.monotonic_s(), quiet=False)
        stream.lose("stale", detail, alive_until_ns=None)
        if name not in self._wire:
            self._wire.start([name], self._acts.resubscribe(stream, is_question=False))

    def _ask_next_suspect(self, now_ns: int) -> None:
        """Ask one silent stream after the other: a book that breaks must find the connection free."""
        if any(name in self._wire for name in self._asked):
            return
        while self._suspects:
            name = next(iter(self._suspects))
            stream = self._suspects.pop(name)
            is_silent = stream.verified and self._resyncs.is_silent(stream, now_ns)
            if is_silent and self._acts.collects(stream) and name not in self._wire:
                self._asked[name] = stream, stream.last_update_at_ns
                self._wire.start([name], self._acts.resubscribe(stream, is_question=True))
                return

    def _judge_asked(self, now_ns: int, now_s: float) -> None:
        for name, (stream, since_ns) in list(self._asked.items()):
            if name in self._wire:
                continue
            if not stream.in_question:
                del self._asked[name]
                self._resyncs.answered(name, now_s, quiet=stream.last_update_at_ns == since_ns)
            elif self._resyncs.is_unanswered(stream, now_ns, now_s):
                del self._asked[name]
                stream.lose("stale", "silent, and no snapshot when asked for one", alive_until_ns=None)

    def _join(self, stream: BookStream, snapshot: Snapshot) -> None:
        outcome = stream.take(snapshot, self._context.clock.now_ns(), self._context.liveness)
        if outcome.did is Did.BROKE:
            self._acts.broke(stream, outcome)
        elif outcome.did is Did.REJECTED and outcome.reason == STALE_SNAPSHOT:
            self._resyncs.failed(stream.topic.name, self._context.monotonic_s())
        elif outcome.did is Did.REJECTED:
            self._fetch_failed(stream, StreamError(f"{outcome.reason}: {outcome.detail}"))
        else:
            self._context.refused.accepted(stream.key)

    def _fetch_failed(self, stream: BookStream, error: StreamError) -> None:
        """Publish that a book's snapshot did not come, and schedule another."""
        if not self._acts.collects(stream):
            return  # removed meanwhile
        if error.permanent:
            self._acts.refuse(stream.topic.name, str(error))
            return
        self._resyncs.failed(stream.topic.name, self._context.monotonic_s())
        key, now_ns = stream.key, self._context.clock.now_ns()
        self._context.events.publish(SnapshotFailed(key.exchange, key.symbol, now_ns, str(error)))


def _is_ahead(snapshot: Snapshot, stream: BookStream) -> bool:
    """Return whether REST is at an update that the stream has not brought."""
    here, there = stream.sequence, snapshot.sequence
    return here is not None and there is not None and there > here
