"""Read OKX v5 frames. https://www.okx.com/docs-v5/en/#overview-websocket."""

from collections.abc import Sequence

import msgspec

from collector.errors import FrameError
from collector.events.messages import Ack, Heartbeat, Message, Other, Status
from collector.exchanges.okx.market_data import Argument, read_bars, read_books, read_trades
from collector.exchanges.okx.topics import BOOKS, CANDLE

BOOK_PREFIX = '{"arg":{"channel":"book'
UPGRADE = "64008"  # the connection will be closed in a minute for a service upgrade


class _Envelope(msgspec.Struct, gc=False):
    """The keys by which frames are told apart, and those of an answer."""

    arg: Argument = msgspec.field(default_factory=lambda: Argument(""))
    event: str | None = None
    id: str | None = None
    code: str = ""
    msg: str = ""


_envelope_decoder = msgspec.json.Decoder(_Envelope)


def read_frame(text: str) -> Sequence[Message]:
    """Map one frame. Raises FrameError when it is not what the exchange documents."""
    try:
        return read_books(text) if text.startswith(BOOK_PREFIX) else _read(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error


def _read(text: str) -> Sequence[Message]:
    if text == "pong":
        return (Heartbeat(),)
    envelope = _envelope_decoder.decode(text)
    channel = envelope.arg.channel
    if envelope.event is not None:
        return (_event(envelope),)
    if channel in BOOKS.values():
        return read_books(text)
    if channel == "trades":
        return read_trades(text)
    return read_bars(text) if channel.startswith(CANDLE) else (Other(),)


def _event(envelope: _Envelope) -> Message:
    if envelope.event in {"subscribe", "unsubscribe"}:
        return Ack(envelope.id, True, topic=envelope.arg.topic)
    if envelope.event == "error":
        return Ack(envelope.id, False, f"{envelope.code} {envelope.msg}")
    return Status("server_shutdown", envelope.msg) if envelope.code == UPGRADE else Other()
