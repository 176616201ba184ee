"""Read books, trades and bars of Bybit v5.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook, and the pages `trade` and `kline` beside
it.

These raise FrameError, or what msgspec raises.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec

from collector.errors import FrameError
from collector.events import (
    INT64_MAX,
    CandleMessage,
    Delta,
    Message,
    NextLevels,
    Side,
    Snapshot,
    TradeMessage,
    check_whole,
)
from collector.exchanges.bybit.topics import INTERVALS

BOOK_PREFIX = '{"topic":"orderbook.'
RESTART_SEQUENCE = 1
BLOCK_TRADE = "BLOCK"  # agreed outside the book

_SIDES: Mapping[str, Side] = MappingProxyType({"Buy": Side.BUY, "Sell": Side.SELL})


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


class _Trade(msgspec.Struct, gc=False):
    i: str
    T: int
    p: float
    v: float
    S: Literal["Buy", "Sell"]  # the taker's
    BT: bool = False


class _Trades(msgspec.Struct, gc=False):
    topic: str
    data: list[_Trade]


class _Bar(msgspec.Struct, gc=False):
    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    confirm: bool
    timestamp: int  # of the last trade in it


class _Bars(msgspec.Struct, gc=False):
    topic: str
    data: list[_Bar]


# Prices and sizes come as text: read as floats without a Python object for each (strict=False).
_book_decoder = msgspec.json.Decoder(_Book, strict=False)
_trades_decoder = msgspec.json.Decoder(_Trades, strict=False)
_bars_decoder = msgspec.json.Decoder(_Bars, strict=False)


def read_book(text: str) -> Snapshot | Delta:
    """Read a whole book, or changed levels."""
    frame = _book_decoder.decode(text)
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


def read_next(text: str) -> NextLevels | None:
    """Read changed levels; None where the frame is anything else, or not as documented."""
    if not text.startswith(BOOK_PREFIX):
        return None
    frame = _book_decoder.decode(text)
    data = frame.data
    number, exchange_ms = data.u, frame.ts if frame.cts is None else frame.cts
    is_right = RESTART_SEQUENCE < number <= INT64_MAX and 0 <= exchange_ms <= INT64_MAX
    if frame.type != "delta" or not is_right:
        return None
    return frame.topic, number - 1, number, exchange_ms, data.seq, data.b, data.a


def read_trades(text: str) -> Sequence[Message]:
    """Read the trades of one message."""
    frame = _trades_decoder.decode(text)
    return [_trade(frame.topic, each) for each in frame.data]


def _trade(topic: str, trade: _Trade) -> TradeMessage:
    if not trade.i:
        raise FrameError("malformed", "a trade without an id")
    check_whole("T", trade.T)
    marked = BLOCK_TRADE if trade.BT else None
    return TradeMessage(topic, trade.i, trade.T, trade.p, trade.v, _SIDES[trade.S], marked=marked)


def read_bars(text: str) -> Sequence[Message]:
    """Read bars as they stand. Their topic has the interval: `kline.1.BTCUSDT`."""
    frame = _bars_decoder.decode(text)
    code = frame.topic.split(".")[1] if frame.topic.count(".") > 1 else ""
    if code not in INTERVALS:
        raise FrameError("malformed", f"topic {frame.topic!r}: kline.<interval>.<market> expected")
    return [_candle(frame.topic, INTERVALS[code], each) for each in frame.data]


def _candle(topic: str, interval: str, bar: _Bar) -> CandleMessage:
    check_whole("start", bar.start)
    check_whole("timestamp", bar.timestamp)
    return CandleMessage(
        topic,
        interval,
        bar.start,
        bar.timestamp,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.confirm,
    )


READERS: Mapping[str, Callable[[str], Sequence[Message]]] = MappingProxyType(
    {"publicTrade": read_trades, "kline": read_bars}
)
