"""Read books, trades, bars and best prices of Kraken's websocket v2 into our vocabulary.

https://docs.kraken.com/api/docs/websocket-v2/book, and the pages `trade`, `ohlc` and `ticker` beside it.
These raise FrameError, or what msgspec raises.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec

from collector.errors import FrameError
from collector.events import (
    CandleMessage,
    Delta,
    Message,
    Side,
    Snapshot,
    TopOfBook,
    TradeMessage,
    check_best,
    check_whole,
)
from collector.exchanges.kraken.topics import INTERVALS, name

SNAPSHOT = "snapshot"
CRC32_MAX = 2**32 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

Market = Annotated[str, msgspec.Meta(min_length=1)]  # Kraken's own name of one: BTC/USD


class _Level(msgspec.Struct, gc=False):
    price: float
    qty: float


class _LevelText(msgspec.Struct, gc=False):
    price: msgspec.Raw
    qty: msgspec.Raw


class _Book(msgspec.Struct, gc=False):
    symbol: Market
    bids: msgspec.Raw
    asks: msgspec.Raw
    checksum: int
    timestamp: str | None = None  # not sent with snapshots before 2025


class _Books(msgspec.Struct, gc=False):
    type: Literal["snapshot", "update"]
    data: list[_Book]


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


_books_decoder = msgspec.json.Decoder(_Books)
_levels_decoder = msgspec.json.Decoder(list[_Level])
_level_texts_decoder = msgspec.json.Decoder(list[_LevelText])
_trades_decoder = msgspec.json.Decoder(_Trades)
_bars_decoder = msgspec.json.Decoder(_Bars)
_tops_decoder = msgspec.json.Decoder(_Tops)

# Twice as fast as decoding each number into an object that keeps its text.
_LEVEL_AS_SENT = re.compile(r'\{"price":([0-9.eE+-]+),"qty":([0-9.eE+-]+)\}')


def read_books(text: str) -> list[Message]:
    """Read whole books or changed levels, with the digits as they were written: the checksum's input."""
    frame = _books_decoder.decode(text)
    kind = Snapshot if frame.type == "snapshot" else Delta
    messages: list[Message] = []
    for book in frame.data:
        if not 0 <= book.checksum <= CRC32_MAX:
            raise FrameError("out_of_range", f"checksum {book.checksum}: 32 bits expected")
        bids, bid_texts = _levels(book.bids)
        asks, ask_texts = _levels(book.asks)
        messages.append(
            kind(
                name("book", book.symbol),
                None,
                optional_milliseconds(book.timestamp),
                bids,
                asks,
                checksum=book.checksum,
                bid_texts=bid_texts,
                ask_texts=ask_texts,
            )
        )
    return messages


def _levels(side: msgspec.Raw) -> tuple[list[tuple[float, float]], list[tuple[str, str]]]:
    as_sent = str(side, "utf-8")
    if as_sent == "[]":
        return [], []
    levels = [(level.price, level.qty) for level in _levels_decoder.decode(as_sent)]
    texts: list[tuple[str, str]] = _LEVEL_AS_SENT.findall(as_sent)
    if len(texts) != len(levels):  # written in another way: spaces, more keys, another order
        as_written = _level_texts_decoder.decode(as_sent)
        texts = [(str(level.price, "ascii"), str(level.qty, "ascii")) for level in as_written]
    return levels, texts


def read_trades(text: str) -> list[Message]:
    """Read trades; a subscription begins with the last fifty, which are of the past."""
    frame = _trades_decoder.decode(text)
    past = frame.type == SNAPSHOT
    return [_trade(each, past) for each in frame.data]


def _trade(trade: _Trade, past: bool) -> TradeMessage:
    check_whole("trade_id", trade.trade_id)
    return TradeMessage(
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
    """Read bars as they stand: one is over only when a later one is there."""
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


def _candle(bar: _Bar, exchange_ms: int | None, past: bool, *, over: bool) -> CandleMessage:
    interval = INTERVALS.get(bar.interval)
    if interval is None:
        raise FrameError("out_of_range", f"interval {bar.interval}: one of {list(INTERVALS)} expected")
    check_whole("trades", bar.trades)
    return CandleMessage(
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
    check_best("bid", top.bid, top.bid_qty)
    check_best("ask", top.ask, top.ask_qty)
    exchange_ms = optional_milliseconds(top.timestamp)
    return TopOfBook(name("bbo", top.symbol), None, exchange_ms, top.bid, top.bid_qty, top.ask, top.ask_qty)


def optional_milliseconds(timestamp: str | None) -> int | None:
    """Read a time that is not always sent."""
    return None if timestamp is None else milliseconds(timestamp)


def milliseconds(timestamp: str) -> int:
    """Read RFC 3339, with whatever decimals, as whole milliseconds since the epoch, cut off."""
    try:
        since = (datetime.fromisoformat(timestamp) - EPOCH) // MILLISECOND
    except (ValueError, TypeError) as error:  # TypeError: no time zone in it
        raise FrameError("malformed", f"timestamp {timestamp!r}: {error}") from error
    check_whole("timestamp", since)
    return since


READERS: Mapping[str, Callable[[str], Sequence[Message]]] = MappingProxyType(
    {"trade": read_trades, "ohlc": read_bars, "ticker": read_tops}
)
