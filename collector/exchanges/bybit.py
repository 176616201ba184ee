"""Read Bybit v5 public frames. https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook."""

from collections.abc import Sequence

import msgspec

from collector.book.verified import Verdict
from collector.errors import FrameError
from collector.events.messages import Ack, Delta, Heartbeat, Message, Other, Snapshot
from collector.exchanges.bybit_events import CODES, READERS

BOOK_PREFIX = '{"topic":"orderbook.'
TOP_OF_BOOK_DEPTH = 1
RESTART_SEQUENCE = 1
INT64_MAX = 2**63 - 1


class _Levels(msgspec.Struct, gc=False):
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    u: int
    seq: int | None = None


class _Book(msgspec.Struct, gc=False):
    topic: str
    type: str
    ts: int
    data: _Levels
    cts: int | None = None


class _Envelope(msgspec.Struct, gc=False):
    topic: str | None = None
    op: str | None = None
    success: bool | None = None
    ret_msg: str | None = None
    req_id: str | None = None


# Prices and sizes come as text: read as floats without a Python object for each (strict=False).
_book_decoder = msgspec.json.Decoder(_Book, strict=False)
_envelope_decoder = msgspec.json.Decoder(_Envelope)


def read_frame(text: str) -> Sequence[Message]:
    """Map one frame. Raises FrameError when it is not what the exchange documents."""
    try:
        if text.startswith(BOOK_PREFIX):
            return (_book(_book_decoder.decode(text)),)
        envelope = _envelope_decoder.decode(text)
        if envelope.topic is not None:
            if envelope.topic.startswith("orderbook."):
                return (_book(_book_decoder.decode(text)),)
            reader = READERS.get(envelope.topic.partition(".")[0])
            return (Other(),) if reader is None else reader(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error
    return (_control(envelope),)


def _book(frame: _Book) -> Snapshot | Delta:
    data = frame.data
    if not 0 <= data.u <= INT64_MAX:
        raise FrameError("out_of_range", f"u {data.u}")
    exchange_ms = frame.ts if frame.cts is None else frame.cts
    if not 0 <= exchange_ms <= INT64_MAX:
        raise FrameError("out_of_range", f"timestamp {exchange_ms}")
    # u = 1 is a whole book after a restart of the service, whatever the type says.
    if frame.type == "snapshot" or data.u == RESTART_SEQUENCE:
        return Snapshot(frame.topic, data.u, exchange_ms, data.b, data.a, cross_sequence=data.seq)
    if frame.type == "delta":
        return Delta(frame.topic, data.u, exchange_ms, data.b, data.a, cross_sequence=data.seq)
    raise FrameError("malformed", f"type {frame.type!r}: snapshot or delta expected")


def _control(envelope: _Envelope) -> Message:
    if envelope.op == "pong" or envelope.ret_msg == "pong" or envelope.op == "ping":
        return Heartbeat()
    if envelope.op in {"subscribe", "unsubscribe"} and envelope.success is not None:
        return Ack(envelope.req_id, envelope.success, envelope.ret_msg or "")
    return Other()


class Continuity:
    """`u` grows by one from message to message; a snapshot begins again."""

    verification = "sequence"

    def __init__(self, depth: int) -> None:
        self._snapshots_only = depth == TOP_OF_BOOK_DEPTH

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Judge a delta by its `u`."""
        sequence = delta.sequence
        if last_sequence is None or sequence is None:
            return Verdict.BREAKS
        if sequence == last_sequence + 1:
            return Verdict.CONTINUES
        return Verdict.REPEATS if sequence == last_sequence else Verdict.BREAKS

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Judge a snapshot in mid-stream: joined only where its `u` follows."""
        sequence = snapshot.sequence
        if last_sequence is None or sequence is None:
            return Verdict.RESTARTS
        if sequence == last_sequence:
            return Verdict.REPEATS
        follows = sequence > last_sequence if self._snapshots_only else sequence == last_sequence + 1
        return Verdict.CONTINUES if follows else Verdict.RESTARTS


def topic(market_id: str, symbol: str, channel: str) -> str:
    """Name a channel of a market; the best bid and ask are its order book at depth 1."""
    del symbol
    family, _, detail = channel.partition(".")
    if family == "book" and detail.isdecimal():
        return f"orderbook.{detail}.{market_id}"
    if family == "ohlcv" and detail in CODES:
        return f"kline.{CODES[detail]}.{market_id}"
    if channel == "bbo":
        return f"orderbook.{TOP_OF_BOOK_DEPTH}.{market_id}"
    if channel == "trade":
        return f"publicTrade.{market_id}"
    raise ValueError(
        f"{channel} is no channel of Bybit: book.<depth>, bbo, trade or ohlcv.<interval> expected"
    )


def route(topic: str) -> str:
    """Return what a frame of a topic is known by: the topic itself."""
    return topic


def subscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Make the request that asks for topics."""
    return {"op": "subscribe", "req_id": request_id, "args": list(topics)}


def unsubscribe(topics: Sequence[str], request_id: str) -> dict[str, object]:
    """Make the request that ends topics."""
    return {"op": "unsubscribe", "req_id": request_id, "args": list(topics)}


def ping(request_id: str) -> dict[str, object]:
    """Make the request that a living connection answers."""
    return {"op": "ping", "req_id": request_id}
