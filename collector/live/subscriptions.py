"""Keep the streams of one connection: which are collected, which were removed, which were refused."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from collector.book import Outcome
from collector.live.context import ConnectionContext
from collector.live.resync import Resyncs
from collector.streams import RETIRED, BookStream, Stream


class Subscriptions(ABC):
    """The streams of one connection. Lives in the websocket thread's loop."""

    def __init__(self, streams: Sequence[Stream], context: ConnectionContext, resyncs: Resyncs) -> None:
        self._streams = {stream.topic.name: stream for stream in streams}
        self._to_leave: list[Stream] = []  # removed, and the exchange still sends them
        self._context = context
        self._resyncs = resyncs
        for stream in streams:
            stream.on_doubt = self.broke

    @property
    def streams(self) -> list[Stream]:
        """Return what is collected."""
        return list(self._streams.values())

    @property
    def books(self) -> list[BookStream]:
        """Return the books that are collected."""
        return [stream for stream in self._streams.values() if isinstance(stream, BookStream)]

    @property
    def serves(self) -> bool:
        """Return whether what was subscribed is served; `begin` has waited where that is confirmed."""
        return True

    @abstractmethod
    def tells_apart(self, stream: Stream) -> bool:
        """Return whether a stream could be added, its frames told apart from the others'."""

    def add(self, stream: Stream) -> None:
        """Collect a stream as well; the others are not disturbed."""
        self._streams[stream.topic.name] = stream
        stream.on_doubt = self.broke
        self._context.wake.set()

    def remove(self, stream: Stream, cause: str = RETIRED) -> None:
        """Stop collecting a stream; what it still sends is counted and not stored."""
        del self._streams[stream.topic.name]
        self._resyncs.forget(stream.topic.name)
        stream.retire(self._context.liveness.heard_ns, cause)
        self._to_leave.append(stream)
        self._context.wake.set()

    @abstractmethod
    async def begin(self, on_connected: Callable[[], None]) -> None:
        """Subscribe everything on a new socket; `on_connected` is called once that is open."""

    @abstractmethod
    async def go_on(self) -> None:
        """Subscribe what was added, leave what was removed, fetch again the books that need it now."""

    @abstractmethod
    def abandon(self, reason: str) -> None:
        """Wait for no answer any more: the socket is gone."""

    def lose_all(self, cause: str, detail: str) -> None:
        """End the segments of all streams: the socket that fed them is gone."""
        for stream in self._streams.values():
            stream.lose(cause, detail, self._context.liveness.heard_ns)

    def broke(self, stream: Stream, outcome: Outcome) -> None:
        """Schedule a new snapshot of a book that broke."""
        if self._resyncs.broke(stream.topic.name, self._context.monotonic_s()):
            reason = f"{stream.key.channel}: {outcome.detail}"
            self._context.halt(outcome.reason, reason, stream.key.symbol)
        self._context.wake.set()

    def _collects(self, stream: Stream) -> bool:
        return self._streams.get(stream.topic.name) is stream

    def _refuse(self, topic: str, words: str) -> None:
        """Stop asking for a topic that the exchange does not have; the others go on."""
        stream = self._streams.pop(topic)
        stream.lose("refused", words, alive_until_ns=None)
        self._resyncs.forget(topic)
        self._context.refused.give_up(stream)
        if self._context.refused.tell(stream, words):
            self._context.halt("subscription_refused", f"{topic}: {words}", stream.key.symbol)
