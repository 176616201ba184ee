"""Read Bybit v5 public frames. https://bybit-exchange.github.io/docs/v5/ws/connect."""

from collections.abc import Sequence

import msgspec

from collector.errors import FrameError
from collector.events.messages import Ack, Heartbeat, Message, Other
from collector.exchanges.bybit.market_data import READERS, read_book

BOOK_PREFIX = '{"topic":"orderbook.'


class _Envelope(msgspec.Struct, gc=False):
    topic: str | None = None
    op: str | None = None
    success: bool | None = None
    ret_msg: str | None = None
    req_id: str | None = None


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


def _control(envelope: _Envelope) -> Message:
    if envelope.op == "pong" or envelope.ret_msg == "pong" or envelope.op == "ping":
        return Heartbeat()
    if envelope.op in {"subscribe", "unsubscribe"} and envelope.success is not None:
        return Ack(envelope.req_id or None, envelope.success, envelope.ret_msg or "")
    if not envelope.op and envelope.success is False:  # of a request that it could not read to its end
        return Ack(envelope.req_id or None, False, envelope.ret_msg or "")
    return Other()
