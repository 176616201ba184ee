"""Read Bybit v5 public frames. https://bybit-exchange.github.io/docs/v5/ws/connect."""

from collections.abc import Sequence

import msgspec

from collector.errors import FrameError
from collector.events import Ack, Heartbeat, Message, Other, ReadNext, Snapshot
from collector.exchanges.bybit.market_data import BOOK_PREFIX, READERS, read_book, read_next


class _Envelope(msgspec.Struct, gc=False):
    topic: str | None = None
    op: str | None = None
    success: bool | None = None
    ret_msg: str | None = None
    req_id: str | None = None


class _RestBook(msgspec.Struct, gc=False):
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    ts: int


class _RestAnswer(msgspec.Struct, gc=False):
    result: _RestBook


_rest_decoder = msgspec.json.Decoder(_RestAnswer, strict=False)
_envelope_decoder = msgspec.json.Decoder(_Envelope)


def read_frame(text: str) -> Sequence[Message]:
    """Map one frame. Raises FrameError when it is not what the exchange documents."""
    try:
        if text.startswith(BOOK_PREFIX):
            return (read_book(text),)
        envelope = _envelope_decoder.decode(text)
        if envelope.topic is not None:
            if envelope.topic.startswith("orderbook."):
                return (read_book(text),)
            reader = READERS.get(envelope.topic.partition(".")[0])
            return (Other(),) if reader is None else reader(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error
    return (_control(envelope),)


def next_reader(_kind: str) -> ReadNext:
    """Return what reads the usual frame."""
    return read_next


def read_rest_book(text: str, topic: str) -> Snapshot:
    """Map a book of REST, which names no channel: https://bybit-exchange.github.io/docs/v5/market/orderbook.

    Its `u` counts the updates of the deepest book, not those of the stream that it is compared with.
    """
    try:
        book = _rest_decoder.decode(text).result
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error
    return Snapshot(topic, None, book.ts, book.b, book.a)


def _control(envelope: _Envelope) -> Message:
    if envelope.op == "pong" or envelope.ret_msg == "pong" or envelope.op == "ping":
        return Heartbeat()
    if envelope.op in {"subscribe", "unsubscribe"} and envelope.success is not None:
        return Ack(envelope.req_id or None, envelope.success, envelope.ret_msg or "")
    if not envelope.op and envelope.success is False:  # of a request that it could not read to its end
        return Ack(envelope.req_id or None, False, envelope.ret_msg or "")
    return Other()
