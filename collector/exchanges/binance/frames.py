"""Read Binance's frames: market data raw or in a combined stream, answers to requests, and the rest."""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from collector.errors import FrameError
from collector.events import Ack, Message, Other, ReadNext, Snapshot, Status
from collector.exchanges.binance.market_data import (
    READERS,
    read_next,
    read_rest_book,
    read_rest_top,
    read_top,
)

EVENT_PREFIX = '{"e":"'
TOP_PREFIX = '{"u":'
SHUTDOWN = "serverShutdown"  # sent about ten minutes before the connection is cut


class _Refusal(msgspec.Struct, gc=False):
    code: int
    msg: str


class _Envelope(msgspec.Struct, gc=False):
    """The keys by which frames are told apart."""

    event: str | None = msgspec.field(name="e", default=None)
    bid_size: msgspec.Raw = msgspec.field(name="B", default=msgspec.Raw())
    ask_size: msgspec.Raw = msgspec.field(name="A", default=msgspec.Raw())
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: _Refusal | None = None
    code: int | None = None
    msg: str | None = None


_envelope_decoder = msgspec.json.Decoder(_Envelope)
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def read_frame(text: str) -> Sequence[Message]:
    """Map one frame. Raises FrameError when it is not what the exchange documents."""
    try:
        return (_read(text),)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error


def next_reader(kind: str) -> ReadNext:
    """Return what reads the usual frame of a kind of market."""
    return partial(read_next, names_previous=kind != "spot")


def read_snapshot(text: str, topic: str) -> Snapshot:
    """Map the answer of REST to a request for a book: it names no market, so the topic is given."""
    return _of_rest(read_rest_book, text, topic)


def read_best_prices(text: str, topic: str) -> Snapshot:
    """Map the answer of REST to a request for the best prices."""
    return _of_rest(read_rest_top, text, topic)


def _of_rest(read: Callable[[str, str], Snapshot], text: str, topic: str) -> Snapshot:
    try:
        return read(text, topic)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error


def _read(text: str) -> Message:
    if text.startswith(EVENT_PREFIX):
        reader = READERS.get(text[len(EVENT_PREFIX) : text.find('"', len(EVENT_PREFIX))])
        if reader is not None:
            return reader(text)
    elif text.startswith(TOP_PREFIX) and '"e":' not in text:  # spot does not name this event
        return read_top(text)
    return _read_by_keys(text)


def _read_by_keys(text: str) -> Message:
    """Read a frame that its first characters do not identify."""
    if text.lstrip().startswith("["):  # the streams of all markets, such as `!ticker@arr`
        _list_decoder.decode(text)
        return Other()
    envelope = _envelope_decoder.decode(text)
    if envelope.stream is not None:
        return Other() if _is_partial_book(envelope.stream) else _read(str(envelope.data, "utf-8"))
    if envelope.event is not None:
        reader = READERS.get(envelope.event)
        if reader is not None:
            return reader(text)
        return Status("server_shutdown") if envelope.event == SHUTDOWN else Other()
    if _is_sent(envelope.bid_size) and _is_sent(envelope.ask_size):
        return read_top(text)
    return _read_answer(envelope)


def _read_answer(envelope: _Envelope) -> Message:
    request_id = None if envelope.id is None else str(envelope.id)
    if envelope.error is not None:
        return Ack(request_id, False, f"{envelope.error.code} {envelope.error.msg}")
    if envelope.code is not None and envelope.msg is not None:
        return Ack(request_id, False, f"{envelope.code} {envelope.msg}")
    return Ack(request_id, True) if bytes(envelope.result) == b"null" else Other()


def _is_partial_book(stream: str) -> bool:
    """Return whether it is `btcusdt@depth20`: on USD-M it sends `depthUpdate` too, but whole levels."""
    return stream.partition("@depth")[2][:1].isdigit()


def _is_sent(value: msgspec.Raw) -> bool:
    return bytes(value) != b""
