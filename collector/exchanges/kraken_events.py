"""Read trades, bars and best prices of Kraken's websocket v2 into our vocabulary.

https://docs.kraken.com/api/docs/websocket-v2/trade, and the pages `ohlc` and `ticker` beside it. These raise
FrameError, or what msgspec raises.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from collector.book.ladder import MAX_PRICE, MAX_SIZE
from collector.errors import FrameError
from collector.events.messages import Candle, Message, Side, TopOfBook, Trade
from collector.exchanges.kraken_topics import INTERVALS, name
from collector.exchanges.kraken_values import (
    Market,
    check_positive,
    check_whole,
    milliseconds,
    optional_milliseconds,
)

SNAPSHOT = "snapshot"


class _Trade(msgspec.Struct, gc=False):
    symbol: Market
    side: Side  # the taker's
    price: float
    qty: float
    trade_id: int
    timestamp: str


class _Trades(msgspec.Struct, gc=False):
    data: list[_Trade]
    type: str = "update"


class _Bar(msgspec.Struct, gc=False):
    symbol: Market
    interval: int
    interval_begin: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trades: int


class _Bars(msgspec.Struct, gc=False):
    data: list[_Bar]
    type: str = "update"
    timestamp: str | None = None  # a bar's own `timestamp` is its end, whatever time it is


class _Top(msgspec.Struct, gc=False):
    symbol: Market
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    timestamp: str | None = None


class _Tops(msgspec.Struct, gc=False):
    data: list[_Top]


_trades_decoder = msgspec.json.Decoder(_Trades)
_bars_decoder = msgspec.json.Decoder(_Bars)
_tops_decoder = msgspec.json.Decoder(_Tops)


def read_trades(text: str) -> list[Message]:
    """Read trades; a subscription begins with the last fifty, which are of the past."""
    frame = _trades_decoder.decode(text)
    past = frame.type == SNAPSHOT
    return [_trade(each, past) for each in frame.data]


def _trade(trade: _Trade, past: bool) -> Trade:
    check_whole("trade_id", trade.trade_id)
    return Trade(
        name("trade", trade.symbol),
        str(trade.trade_id),
        milliseconds(trade.timestamp),
        trade.price,
        trade.qty,
        trade.side,
        number=trade.trade_id,
        past=past,
    )


def read_bars(text: str) -> list[Message]:
    """Read bars as they stand: that one is over shows only when a later one is there."""
    frame = _bars_decoder.decode(text)
    exchange_ms = optional_milliseconds(frame.timestamp)
    past = frame.type == SNAPSHOT
    newest: dict[tuple[str, int], str] = {}
    for bar in frame.data:
        market = bar.symbol, bar.interval
        newest[market] = max(newest.get(market, ""), bar.interval_begin)
    return [
        _candle(bar, exchange_ms, past, over=bar.interval_begin < newest[bar.symbol, bar.interval])
        for bar in frame.data
    ]


def _candle(bar: _Bar, exchange_ms: int | None, past: bool, *, over: bool) -> Candle:
    interval = INTERVALS.get(bar.interval)
    if interval is None:
        raise FrameError("out_of_range", f"interval {bar.interval}: one of {list(INTERVALS)} expected")
    check_whole("trades", bar.trades)
    return Candle(
        name(f"ohlcv.{interval}", bar.symbol),
        interval,
        milliseconds(bar.interval_begin),
        exchange_ms,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        confirmed=over,
        vwap=bar.vwap,
        count=bar.trades,
        past=past,
    )


def read_tops(text: str) -> list[Message]:
    """Read the best bids and asks."""
    return [_top(each) for each in _tops_decoder.decode(text).data]


def _top(top: _Top) -> TopOfBook:
    check_positive("bid", top.bid, MAX_PRICE)
    check_positive("bid_qty", top.bid_qty, MAX_SIZE)
    check_positive("ask", top.ask, MAX_PRICE)
    check_positive("ask_qty", top.ask_qty, MAX_SIZE)
    exchange_ms = optional_milliseconds(top.timestamp)
    return TopOfBook(name("bbo", top.symbol), None, exchange_ms, top.bid, top.bid_qty, top.ask, top.ask_qty)


READERS: Mapping[str, Callable[[str], Sequence[Message]]] = MappingProxyType(
    {"trade": read_trades, "ohlc": read_bars, "ticker": read_tops}
)
