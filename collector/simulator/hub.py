"""Subscriptions, and the fan-out of each message to those who are subscribed.

Everything here runs on the simulator's loop.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from collector.simulator.exchanges import Exchange
from collector.simulator.market import Truth
from collector.simulator.messages import Connection, Outgoing, Topic
from collector.simulator.send_log import Logged, SendLog
from collector.simulator.tampers import Drop, Tamper
from collector.simulator.wire import frame


class Listener(Protocol):
    """What the hub needs of a session."""

    connection: Connection
    exchange: Exchange

    def write(self, data: bytes, note: Callable[[bool], None] | None = None) -> None:
        """Put bytes on the wire; `note` learns, just before, whether the connection is open."""


class Rendered(NamedTuple):
    """A message and its frames: as it is, and in the form of a combined stream if a subscriber has one."""

    topic: Topic
    message: Outgoing
    plain: bytes
    wrapped: bytes

    def data_for(self, listener: Listener) -> bytes:
        """Return the frame for a listener."""
        return self.wrapped if listener.connection.wrapped and self.wrapped else self.plain


class Hub:
    """All subscriptions of one simulator."""

    def __init__(self, truth: Truth, wall_ns: Callable[[], int], log: SendLog | None = None) -> None:
        self._truth = truth
        self._log = log
        # For each exchange whose diffs of books are sent in batches: how many seconds a batch lasts.
        self.batch_s: dict[str, float] = {}
        self._batches: dict[Topic, list[Rendered]] = {}
        self._wall_ns = wall_ns
        self._listeners: dict[Topic, list[Listener]] = {}
        self._topics: dict[tuple[str, str], list[Topic]] = {}
        self._tampers: dict[tuple[str, str, str], list[Tamper]] = {}
        self.stalled: set[tuple[str, str, str]] = set()
        # With a log: topics that had subscribers and have none now. What they miss is logged.
        self._former: dict[tuple[str, str], list[Topic]] = {}
        self._last_ns: dict[Topic, int] = {}
        self._waiting: list[asyncio.Future[None]] = []

    def subscribe(self, listener: Listener, topic: Topic) -> None:
        """Send a topic's messages to a listener from now on."""
        listener.connection.topics[topic.wire] = topic
        listeners = self._listeners.setdefault(topic, [])
        listeners.append(listener)
        if len(listeners) == 1:
            self._topics.setdefault((topic.exchange, topic.symbol), []).append(topic)
            if topic in self._former.get((topic.exchange, topic.symbol), ()):
                self._former[topic.exchange, topic.symbol].remove(topic)
        self._log_change("subscribed", listener, topic)
        self._changed()

    def unsubscribe(self, listener: Listener, topic: Topic) -> None:
        """Stop sending a topic's messages to a listener."""
        if listener.connection.topics.pop(topic.wire, None) is None:
            return
        listeners = self._listeners[topic]
        listeners.remove(listener)
        if not listeners:
            del self._listeners[topic]
            self._last_ns.pop(topic, None)
            self._topics[topic.exchange, topic.symbol].remove(topic)
            if self._log is not None:
                self._former.setdefault((topic.exchange, topic.symbol), []).append(topic)
        self._log_change("unsubscribed", listener, topic)
        self._changed()

    async def change(self) -> None:
        """Wait until a subscription begins or ends."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _changed(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def leave(self, listener: Listener) -> None:
        """Remove a listener whose connection is gone."""
        for topic in list(listener.connection.topics.values()):
            self.unsubscribe(listener, topic)

    def topics(self, exchange: str, symbol: str) -> list[Topic]:
        """List the topics of a symbol that have subscribers."""
        return self._topics.get((exchange, symbol), [])

    def followed(self, exchange: str, symbol: str) -> list[Topic]:
        """List the topics of a symbol whose messages somebody gets, or would be missed in the log."""
        return self.topics(exchange, symbol) + self._former.get((exchange, symbol), [])

    def arm(self, stream: tuple[str, str, str], tamper: Tamper) -> None:
        """Pass the next messages of a channel through a fault before they are sent."""
        self._tampers.setdefault(stream, []).append(tamper)

    def render(self, topic: Topic, messages: Iterable[Outgoing]) -> list[Rendered]:
        """Make the frames of a topic's messages, faults included."""
        stream = _stream(topic)
        if stream in self.stalled:
            self._log_withheld(stream, messages, "stalled")
            return []
        if self._tampers:
            messages = self._tampered(topic, stream, messages)
        wraps = next(
            (each.exchange for each in self._listeners.get(topic, ()) if each.connection.wrapped), None
        )
        return [
            Rendered(
                topic,
                message,
                frame(message.text.encode()),
                frame(wraps.wrap(topic, message.text).encode()) if wraps else b"",
            )
            for message in messages
        ]

    def publish(self, topic: Topic, messages: Iterable[Outgoing]) -> None:
        """Send a topic's messages to all its subscribers."""
        if topic not in self._listeners:
            self._log_withheld(_stream(topic), messages, "unheard")
            return
        rendered = self.render(topic, messages)
        batch_s = self.batch_s.get(topic.exchange) if topic.kind == "book" else None
        if batch_s is None:
            self._publish(topic, rendered)
        elif rendered:
            if topic not in self._batches:
                loop = asyncio.get_running_loop()
                loop.call_at((loop.time() // batch_s + 1) * batch_s, self._end_batch, topic)
            self._batches.setdefault(topic, []).extend(rendered)

    def _publish(self, topic: Topic, made: Iterable[Rendered]) -> None:
        if topic not in self._listeners:
            self._log_withheld(_stream(topic), [rendered.message for rendered in made], "unheard")
            return
        for rendered in made:
            self._last_ns[topic] = self._wall_ns()
            for listener in self._listeners.get(topic, ()):
                listener.write(
                    rendered.data_for(listener), partial(self._note, listener, topic, rendered.message)
                )

    def _end_batch(self, topic: Topic) -> None:
        self._publish(topic, self._batches.pop(topic))

    def silent_topics(self, silence_ns: int) -> list[Topic]:
        """List the topics with subscribers on which nothing was sent for so long."""
        now_ns = self._wall_ns()
        return [
            topic
            for topic in self._listeners
            if now_ns - self._last_ns.setdefault(topic, now_ns) >= silence_ns
        ]

    def listeners(self, topic: Topic) -> list[Listener]:
        """List the subscribers of a topic."""
        return list(self._listeners.get(topic, ()))

    def publish_ahead(self, made: Sequence[Rendered], listeners: Mapping[Topic, Sequence[Listener]]) -> None:
        """Send frames made ahead, in one write a listener, to those who were subscribed then."""
        writes: dict[int, tuple[Listener, list[Rendered]]] = {}
        for rendered in made:
            for listener in listeners[rendered.topic]:
                if rendered.topic.wire in listener.connection.topics:
                    writes.setdefault(listener.connection.number, (listener, []))[1].append(rendered)
        for listener, parts in writes.values():
            data = b"".join([part.data_for(listener) for part in parts])
            listener.write(data, partial(self._note_all, listener, parts))

    def send_to(self, listener: Listener, topic: Topic, messages: Iterable[Outgoing]) -> None:
        """Send messages to one listener only: its snapshot."""
        stream = _stream(topic)
        if stream in self.stalled:
            self._log_withheld(stream, messages, "stalled snapshot")
            return
        for message in messages:
            listener.write(frame(message.text.encode()), partial(self._note, listener, topic, message))

    def _note(self, listener: Listener, topic: Topic, message: Outgoing, is_open: bool) -> None:
        sent_ns, number = self._wall_ns(), listener.connection.number
        stream = _stream(topic)
        self._truth.note_sent(stream, number, message.sequence, message.kind, sent_ns)
        if self._log is not None:
            self._log.note(
                Logged(
                    sent_ns,
                    message.kind,
                    topic.exchange,
                    number,
                    topic.symbol,
                    topic.channel,
                    message.sequence,
                    message.events,
                    is_open,
                    times_us=message.times_us,
                )
            )

    def _note_all(self, listener: Listener, parts: Iterable[Rendered], is_open: bool) -> None:
        for part in parts:
            self._note(listener, part.topic, part.message, is_open)

    def _log_change(self, event: str, listener: Listener, topic: Topic) -> None:
        if self._log is not None:
            number = listener.connection.number
            self._log.note(
                Logged(self._wall_ns(), event, topic.exchange, number, topic.symbol, topic.channel)
            )

    def _log_withheld(self, stream: tuple[str, str, str], messages: Iterable[Outgoing], why: str) -> None:
        if self._log is not None:
            for message in messages:
                self._log.note(
                    Logged(
                        self._wall_ns(),
                        "withheld",
                        stream[0],
                        None,
                        *stream[1:],
                        message.sequence,
                        message.events,
                        delivered=False,
                        detail=why,
                        times_us=message.times_us,
                    )
                )

    def _tampered(
        self, topic: Topic, stream: tuple[str, str, str], messages: Iterable[Outgoing]
    ) -> list[Outgoing]:
        out = list(messages)
        for tamper in list(self._tampers.get(stream, ())):
            before = out
            out = [each for message in out for each in ([message] if tamper.done else tamper(topic, message))]
            if isinstance(tamper, Drop):
                self._log_withheld(stream, [each for each in before if each not in out], "dropped")
            if tamper.done:
                self._tampers[stream].remove(tamper)
        return out


def _stream(topic: Topic) -> tuple[str, str, str]:
    return topic.exchange, topic.symbol, topic.channel
