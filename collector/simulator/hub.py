"""Subscriptions, and the fan-out of each message to those who are subscribed.

Everything here runs on the simulator's loop.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from collector.simulator.exchanges.exchange import Exchange
from collector.simulator.exchanges.messages import Connection, Outgoing, Topic
from collector.simulator.faults.tampers import Tamper
from collector.simulator.market.truth import Truth
from collector.simulator.wire import frame


class Listener(Protocol):
    """What the hub needs of a session."""

    connection: Connection
    exchange: Exchange

    def write(self, data: bytes) -> None:
        """Put bytes on the wire."""


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

    def __init__(self, truth: Truth, wall_ns: Callable[[], int]) -> None:
        self._truth = truth
        self._wall_ns = wall_ns
        self._listeners: dict[Topic, list[Listener]] = {}
        self._topics: dict[tuple[str, str], list[Topic]] = {}
        self._tampers: dict[tuple[str, str, str], list[Tamper]] = {}
        self.stalled: set[tuple[str, str, str]] = set()
        self._last_ns: dict[Topic, int] = {}
        self._waiting: list[asyncio.Future[None]] = []

    def subscribe(self, listener: Listener, topic: Topic) -> None:
        """Send a topic's messages to a listener from now on."""
        listener.connection.topics[topic.wire] = topic
        listeners = self._listeners.setdefault(topic, [])
        listeners.append(listener)
        if len(listeners) == 1:
            self._topics.setdefault((topic.exchange, topic.symbol), []).append(topic)
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

    def arm(self, stream: tuple[str, str, str], tamper: Tamper) -> None:
        """Pass the next messages of a channel through a fault before they are sent."""
        self._tampers.setdefault(stream, []).append(tamper)

    def render(self, topic: Topic, messages: Iterable[Outgoing]) -> list[Rendered]:
        """Make the frames of a topic's messages, faults included."""
        stream = (topic.exchange, topic.symbol, topic.channel)
        if stream in self.stalled:
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
        for rendered in self.render(topic, messages):
            self._last_ns[topic] = self._wall_ns()
            stream = (topic.exchange, topic.symbol, topic.channel)
            for listener in self._listeners.get(topic, ()):
                self._send(listener, stream, rendered.message, rendered.data_for(listener))

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
        sent_ns = self._wall_ns()
        writes: dict[int, tuple[Listener, list[bytes]]] = {}
        for rendered in made:
            topic = rendered.topic
            for listener in listeners[topic]:
                if topic.wire in listener.connection.topics:
                    number = listener.connection.number
                    writes.setdefault(number, (listener, []))[1].append(rendered.data_for(listener))
                    self._truth.note_sent(
                        (topic.exchange, topic.symbol, topic.channel),
                        number,
                        rendered.message.sequence,
                        rendered.message.kind,
                        sent_ns,
                    )
        for listener, frames in writes.values():
            listener.write(b"".join(frames))

    def send_to(self, listener: Listener, topic: Topic, messages: Iterable[Outgoing]) -> None:
        """Send messages to one listener only: its snapshot."""
        stream = (topic.exchange, topic.symbol, topic.channel)
        if stream not in self.stalled:
            for message in messages:
                self._send(listener, stream, message, frame(message.text.encode()))

    def _send(self, listener: Listener, stream: tuple[str, str, str], message: Outgoing, data: bytes) -> None:
        sent_ns = self._wall_ns()
        self._truth.note_sent(stream, listener.connection.number, message.sequence, message.kind, sent_ns)
        listener.write(data)

    def _tampered(
        self, topic: Topic, stream: tuple[str, str, str], messages: Iterable[Outgoing]
    ) -> list[Outgoing]:
        out = list(messages)
        for tamper in list(self._tampers.get(stream, ())):
            out = [each for message in out for each in ([message] if tamper.done else tamper(topic, message))]
            if tamper.done:
                self._tampers[stream].remove(tamper)
        return out
