"""Read the frames of Kraken's websocket v2: market data, signs of life, answers to requests, the rest.

https://docs.kraken.com/api/docs/websocket-v2/status and the pages beside it.
"""

from collections.abc import Sequence

import msgspec

from collector.errors import FrameError
from collector.events import Ack, Heartbeat, Message, Other, Snapshot, Status
from collector.exchanges.kraken.market_data import READERS, read_books
from collector.exchanges.kraken.topics import INTERVALS, asked, name

BOOK_PREFIX = '{"channel":"book",'
# Comes without saying what it refuses. https://docs.kraken.com/api/docs/guides/spot-ws-intro
RATE = "Exceeded msg rate"


class _Envelope(msgspec.Struct, gc=False):
    """The keys by which frames are told apart, and those of an answer."""

    channel: str | None = None
    method: str | None = None
    success: bool | None = None
    error: str | None = None
    refusal: str | None = msgspec.field(name="Error", default=None)  # as the guide writes it, of `RATE`
    symbol: str | None = None
    req_id: int | None = None
    result: msgspec.Raw = msgspec.Raw()


class _Subscribed(msgspec.Struct, gc=False):
    """What an answer confirms."""

    channel: str
    symbol: str | None = None  # `instrument` has none
    depth: int = 10  # as where none is asked for
    interval: int = 1
    event_trigger: str | None = None
    warnings: list[str] = msgspec.field(default_factory=list)


class _System(msgspec.Struct, gc=False):
    system: str


class _Status(msgspec.Struct, gc=False):
    data: list[_System]


class _RestLevel(msgspec.Struct, gc=False, array_like=True):
    price: float
    size: float  # after it comes the time of its last change, in seconds


class _RestBook(msgspec.Struct, gc=False):
    bids: list[_RestLevel]
    asks: list[_RestLevel]


class _RestAnswer(msgspec.Struct, gc=False):
    result: dict[str, _RestBook]  # by REST's name of the market


_rest_decoder = msgspec.json.Decoder(_RestAnswer, strict=False)
_envelope_decoder = msgspec.json.Decoder(_Envelope)
_subscribed_decoder = msgspec.json.Decoder(_Subscribed)
_status_decoder = msgspec.json.Decoder(_Status)


def read_frame(text: str) -> Sequence[Message]:
    """Map one frame. Raises FrameError when it is not what the exchange documents."""
    try:
        return read_books(text) if text.startswith(BOOK_PREFIX) else _read(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error


def read_rest_book(text: str, topic: str) -> Snapshot:
    """Map a book of REST: https://docs.kraken.com/api/docs/rest-api/get-order-book. Raises FrameError."""
    try:
        books = list(_rest_decoder.decode(text).result.values())
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error
    if len(books) != 1:
        raise FrameError("malformed", f"{len(books)} books, 1 expected")
    bids = [(level.price, level.size) for level in books[0].bids]
    asks = [(level.price, level.size) for level in books[0].asks]
    return Snapshot(topic, None, None, bids, asks)


def _read(text: str) -> Sequence[Message]:
    envelope = _envelope_decoder.decode(text)
    if envelope.channel == "book":
        return read_books(text)
    reader = READERS.get(envelope.channel or "")
    if reader is not None:
        return reader(text)
    if envelope.channel == "status":
        return [Status(each.system) for each in _status_decoder.decode(text).data]
    if envelope.channel == "heartbeat" or envelope.method == "pong":
        return (Heartbeat(answers=envelope.method == "pong"),)
    return (_answer(envelope),)


def _answer(envelope: _Envelope) -> Message:
    if envelope.method in {"subscribe", "unsubscribe"} and envelope.success is not None:
        return _ack(envelope, envelope.success)
    if envelope.method is None and RATE in {envelope.error, envelope.refusal}:
        return Ack(None, False, RATE)
    return _other(envelope)


def _other(envelope: _Envelope) -> Other:
    """Read a channel that nobody subscribed to, or an error that answers no request of ours."""
    if envelope.channel is not None:
        return Other("unknown_channel", envelope.channel)
    if envelope.error is not None:
        return Other("exchange_error", envelope.error)
    return Other()


def _ack(envelope: _Envelope, accepted: bool) -> Ack:
    request_id, channel = (None, None) if envelope.req_id is None else asked(envelope.req_id)
    if not accepted:
        known = channel is not None and envelope.symbol is not None
        topic = name(str(channel), str(envelope.symbol)) if known else None
        return Ack(request_id, False, envelope.error or "", topic)
    confirmed = _subscribed_decoder.decode(envelope.result)
    return Ack(request_id, True, "; ".join(confirmed.warnings), _topic(confirmed))


def _topic(confirmed: _Subscribed) -> str | None:
    """Return the topic that was confirmed; None where it is none of ours."""
    channel: str | None = None
    if confirmed.channel == "book":
        channel = f"book.{confirmed.depth}"
    elif confirmed.channel == "trade":
        channel = "trade"
    elif confirmed.channel == "ticker" and confirmed.event_trigger == "bbo":
        channel = "bbo"
    elif confirmed.channel == "ohlc" and confirmed.interval in INTERVALS:
        channel = f"ohlcv.{INTERVALS[confirmed.interval]}"
    return None if channel is None or confirmed.symbol is None else name(channel, confirmed.symbol)
