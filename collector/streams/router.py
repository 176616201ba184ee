"""Route each message of a frame to its stream: text and receipt time in; rows, segments and counts out.

Live collection, rebuilding and tests use this one object. It knows no socket, no loop and no clock.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from collector.book import Did
from collector.buffer import Buffer
from collector.errors import FrameError
from collector.events import (
    UNKNOWN,
    Ack,
    CandleMessage,
    Delta,
    Heartbeat,
    Liveness,
    Message,
    NextLevels,
    Other,
    ReadNext,
    Snapshot,
    State,
    Status,
    StreamKey,
    TopOfBook,
    TradeMessage,
)
from collector.streams.book_stream import BookStream
from collector.streams.stream import Stream

MOST_TOLD = 100  # kinds of unknown frames; all are counted
MARKET_DATA = (Delta, Snapshot, TradeMessage, TopOfBook, CandleMessage)


class UnknownFrames:
    """The frames of one exchange that belong to no stream: one event each, rejected under its reason."""

    def __init__(
        self, exchange: str, buffer: Buffer, on_first: Callable[[str, str, str], None] | None = None
    ) -> None:
        self._buffer = buffer
        self._number = buffer.register(StreamKey(exchange, UNKNOWN, UNKNOWN))
        self._on_first = on_first
        self._seen: set[tuple[str, str]] = set()
        self.received = 0

    def count(self, reason: str, detail: str, text: str, *, each: bool = False) -> None:
        """Count a frame; the first of each reason, or of `each` detail of it, is passed to `on_first`."""
        self.received += 1
        self._buffer.count_rejected(self._number, self.received, reason)
        kind = reason, detail if each else ""
        if kind not in self._seen and self._on_first is not None and len(self._seen) < MOST_TOLD:
            self._seen.add(kind)
            self._on_first(reason, detail, text[:200])


class Listener(Protocol):
    """Who takes what is not market data. Methods must not raise."""

    def on_ack(self, ack: Ack) -> bool:
        """Match an answer with its request; False when none waits for it."""

    def on_status(self, state: State, text: str) -> None:
        """Take the state that the exchange reports of itself."""

    def on_pong(self) -> None:
        """Take the answer to a ping of ours, where it proves less than what is pushed."""

    def on_mistake(self, what: str) -> None:
        """Take a fault of ours: what the frame meant is not known."""


class Router:
    """The streams of one connection by the routes of their frames. Never raises."""

    def __init__(
        self,
        read_frame: Callable[[str], Iterable[Message]],
        unknown: UnknownFrames,
        liveness: Liveness,
        listener: Listener,
        read_next: ReadNext | None = None,  # reads the usual frame, and nothing else
    ) -> None:
        self._read_frame = read_frame
        self._read_next = _no_next if read_next is None else read_next
        self._unknown = unknown
        self._liveness = liveness
        self._listener = listener
        self._routes: dict[str, Stream] = {}

    def add(self, stream: Stream) -> None:
        """Route frames to a stream from now on."""
        self._routes[stream.topic.route] = stream

    def drop(self, stream: Stream) -> None:
        """Route no more frames to a stream."""
        if self._routes.get(stream.topic.route) is stream:
            del self._routes[stream.topic.route]

    def tells_apart(self, stream: Stream) -> bool:
        """Return whether the stream's frames could be told apart from those of the others."""
        return stream.topic.route not in self._routes

    def take(self, text: str, received_at_ns: int) -> bool:
        """Take a frame; False when something in it is neither market data nor an awaited answer."""
        try:
            found = self._read_next(text)
        except Exception:  # noqa: BLE001  (whatever is wrong with the frame, the general way finds it again)
            found = None
        is_ours = True
        try:
            if found is not None:
                usual = self._routes.get(found[0])
                if usual is not None and usual.take_next(found, received_at_ns):
                    return True
            for message in self._read_frame(text):
                if isinstance(message, MARKET_DATA):
                    stream = self._routes.get(message.topic)
                    if stream is None:
                        self._unknown.count("unknown_topic", message.topic, text)
                        continue
                    data = _as_book(message) if type(message) is TopOfBook else message
                    outcome = stream.take(data, received_at_ns, self._liveness)
                    if outcome.did is Did.BROKE:
                        stream.on_doubt(stream, outcome)
                else:
                    is_ours = self._take_control(message, text)
        except FrameError as error:
            self._unknown.count(error.reason, error.detail, text)
            self._doubt(text, error, received_at_ns)
            is_ours = True
        except Exception as error:  # noqa: BLE001  (raised into the receive loop it would end the stream)
            self._unknown.count("internal_error", repr(error), text)
            self._listener.on_mistake(repr(error))
            is_ours = True
        return is_ours

    def _take_control(self, message: Status | Ack | Heartbeat | Other, text: str) -> bool:
        """Take what is no market data; False when it is nobody's here."""
        if isinstance(message, Status):
            self._listener.on_status(State.said(message.state), message.text or message.state)
        elif isinstance(message, Ack):
            return self._listener.on_ack(message)
        elif isinstance(message, Other):
            if message.reason:
                self._unknown.count(message.reason, message.what, text, each=True)
            return False
        elif message.answers:
            self._listener.on_pong()
        return True

    def _doubt(self, text: str, error: FrameError, at_ns: int) -> None:
        """Doubt the streams that an unreadable frame may be about, where no number shows what it left out."""
        streams = list(self._routes.values())
        named = [stream for stream in streams if stream.is_named(text)]
        for stream in named or [stream for stream in streams if stream.could_be_meant(text)]:
            if stream.sees_what_is_lost:
                continue
            if not isinstance(stream, BookStream):
                stream.missed(error.reason, error.detail, at_ns)
                continue
            outcome = stream.doubt(error.reason, error.detail)
            if outcome.did is Did.BROKE:
                stream.on_doubt(stream, outcome)


def _no_next(_text: str) -> NextLevels | None:
    return None


def _as_book(top: TopOfBook) -> Snapshot:
    """Return the best bid and ask as a whole book of one level; a price of 0 is a side without an order."""
    bids = [(top.bid_price, top.bid_size)] if top.bid_price else []
    asks = [(top.ask_price, top.ask_size)] if top.ask_price else []
    return Snapshot(top.topic, top.sequence, top.exchange_ms, bids, asks)
