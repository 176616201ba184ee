"""Read trades and bars of Bybit v5.

https://bybit-exchange.github.io/docs/v5/websocket/public/trade, and the page `kline` beside it.

These raise FrameError, or what msgspec raises.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec

from collector.errors import FrameError
from collector.events.messages import Candle, Message, Side, Trade

INT64_MAX = 2**63 - 1
BLOCK_TRADE = "BLOCK"  # agreed outside the book

# https://bybit-exchange.github.io/docs/v5/enum#interval: minutes, or a letter.
CODES: Mapping[str, str] = MappingProxyType(
    {
        "1m": "1",
        "3m": "3",
        "5m": "5",
        "15m": "15",
        "30m": "30",
        "1h": "60",
        "2h": "120",
        "4h": "240",
        "6h": "360",
        "12h": "720",
        "1d": "D",
        "1w": "W",
        "1M": "M",
    }
)
INTERVALS: Mapping[str, str] = MappingProxyType({code: interval for interval, code in CODES.items()})
_SIDES: Mapping[str, Side] = MappingProxyType({"Buy": Side.BUY, "Sell": Side.SELL})


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


# Prices and sizes come as text (strict=False); flags do not.
_trades_decoder = msgspec.json.Decoder(_Trades, strict=False)
_bars_decoder = msgspec.json.Decoder(_Bars, strict=False)


def read_trades(text: str) -> Sequence[Message]:
    """Read the trades of one message."""
    frame = _trades_decoder.decode(text)
    return [_trade(frame.topic, each) for each in frame.data]


def _trade(topic: str, trade: _Trade) -> Trade:
    if not trade.i:
        raise FrameError("malformed", "a trade without an id")
    _check_whole("T", trade.T)
    marked = BLOCK_TRADE if trade.BT else None
    return Trade(topic, trade.i, trade.T, trade.p, trade.v, _SIDES[trade.S], marked=marked)


def read_bars(text: str) -> Sequence[Message]:
    """Read bars as they stand. Their topic tells the interval: `kline.1.BTCUSDT`."""
    frame = _bars_decoder.decode(text)
    code = frame.topic.split(".")[1] if frame.topic.count(".") > 1 else ""
    if code not in INTERVALS:
        raise FrameError("malformed", f"topic {frame.topic!r}: kline.<interval>.<market> expected")
    return [_candle(frame.topic, INTERVALS[code], each) for each in frame.data]


def _candle(topic: str, interval: str, bar: _Bar) -> Candle:
    _check_whole("start", bar.start)
    _check_whole("timestamp", bar.timestamp)
    return Candle(
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


def _check_whole(name: str, number: int) -> None:
    if not 0 <= number <= INT64_MAX:
        raise FrameError("out_of_range", f"{name} {number}")


READERS: Mapping[str, Callable[[str], Sequence[Message]]] = MappingProxyType(
    {"publicTrade": read_trades, "kline": read_bars}
)
