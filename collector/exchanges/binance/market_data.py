"""Read one event of Binance's market data, spot or USD-M, or a book of its REST, into our vocabulary.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams. `trade` of
USD-M is not documented: it is read as recorded. These raise FrameError, or what msgspec raises.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import msgspec
from msgspec import field

from collector.errors import FrameError
from collector.events import (
    INT64_MAX,
    CandleMessage,
    Delta,
    Message,
    NextLevels,
    Side,
    Snapshot,
    TopOfBook,
    TradeMessage,
    check_best,
    check_whole,
)

DEPTH_PREFIX = '{"e":"depthUpdate",'
NO_MESSAGE_BEFORE = -1  # `pu` of a market's first message
MARKET_TRADE = "MARKET"
MICROSECONDS_FROM = 10**14  # in milliseconds it would be the year 5138
LATEST_US = 4_102_444_800 * 10**6  # the year 2100
NO_TRADE = "NA"  # of USD-M: an id with price 0 and size 0, some a minute


class _Depth(msgspec.Struct, gc=False):
    symbol: str = field(name="s")
    event_ms: int = field(name="E")
    first: int = field(name="U")
    last: int = field(name="u")
    bids: list[tuple[float, float]] = field(name="b")
    asks: list[tuple[float, float]] = field(name="a")
    previous: int | None = field(name="pu", default=None)  # USD-M only, as is `transaction_ms`
    transaction_ms: int | None = field(name="T", default=None)


class _RestBook(msgspec.Struct, gc=False):
    update: int = field(name="lastUpdateId")
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    transaction_ms: int | None = field(name="T", default=None)


class _RestTop(msgspec.Struct, gc=False):
    bid_price: float = field(name="bidPrice")
    bid_size: float = field(name="bidQty")
    ask_price: float = field(name="askPrice")
    ask_size: float = field(name="askQty")


class _Top(msgspec.Struct, gc=False):
    symbol: str = field(name="s")
    update: int = field(name="u")
    bid_price: float = field(name="b")
    bid_size: float = field(name="B")
    ask_price: float = field(name="a")
    ask_size: float = field(name="A")
    transaction_ms: int | None = field(name="T", default=None)


class _Trade(msgspec.Struct, gc=False):
    symbol: str = field(name="s")
    trade_id: int = field(name="t")
    trade_ms: int = field(name="T")
    price: float = field(name="p")
    size: float = field(name="q")
    buyer_is_maker: bool = field(name="m")
    origin: str = field(name="X", default=MARKET_TRADE)


class _Aggregate(_Trade, gc=False):
    trade_id: int = field(name="a")


class RawTrade(msgspec.Struct, gc=False):
    """A message of `trade` or `aggTrade` as a program got it, perhaps with the keys that it needed only."""

    price: float = field(name="p")
    size: float = field(name="q")
    time: int = field(name="T")  # in ms, or in microseconds where a stream was asked for those
    event: Literal["trade", "aggTrade"] | None = field(name="e", default=None)
    symbol: str | None = field(name="s", default=None)
    trade: int | str | None = field(name="t", default=None)
    aggregate: int | str | None = field(name="a", default=None)  # of old trade messages: an order's id

    @property
    def trade_id(self) -> str:
        """Return the id of the trade, or of the trades put together."""
        is_single = self.event == "trade" or (self.event is None and self.trade is not None)
        name, found = ("t", self.trade) if is_single else ("a", self.aggregate)
        if found is None or found == "":
            raise FrameError("malformed", f"no id of a trade at `$.{name}`")
        return str(found)

    @property
    def time_us(self) -> int:
        """Return its time in microseconds since 1970."""
        time_us = self.time if self.time >= MICROSECONDS_FROM else self.time * 1000
        if not 0 < time_us < LATEST_US:
            raise FrameError("out_of_range", f"{self.time} is no time of a trade - at `$.T`")
        return time_us


class _Bar(msgspec.Struct, gc=False):
    open_ms: int = field(name="t")
    interval: str = field(name="i")
    open: float = field(name="o")
    high: float = field(name="h")
    low: float = field(name="l")
    close: float = field(name="c")
    volume: float = field(name="v")
    count: int = field(name="n")
    closed: bool = field(name="x")


class _Kline(msgspec.Struct, gc=False):
    symbol: str = field(name="s")
    event_ms: int = field(name="E")
    bar: _Bar = field(name="k")


# Prices and sizes come as text: read as floats without a Python object for each (strict=False).
_depth_decoder = msgspec.json.Decoder(_Depth, strict=False)
_rest_book_decoder = msgspec.json.Decoder(_RestBook, strict=False)
_rest_top_decoder = msgspec.json.Decoder(_RestTop, strict=False)
_top_decoder = msgspec.json.Decoder(_Top, strict=False)
_trade_decoder = msgspec.json.Decoder(_Trade, strict=False)
_aggregate_decoder = msgspec.json.Decoder(_Aggregate, strict=False)
_kline_decoder = msgspec.json.Decoder(_Kline, strict=False)


def read_rest_book(text: str, topic: str) -> Snapshot:
    """Read a book of REST; spot sends no time."""
    book = _rest_book_decoder.decode(text)
    check_whole("lastUpdateId", book.update)
    if book.transaction_ms is not None:
        check_whole("T", book.transaction_ms)
    return Snapshot(topic, book.update, book.transaction_ms, book.bids, book.asks)


def read_rest_top(text: str, topic: str) -> Snapshot:
    """Read the best bid and ask of REST; a side that is empty has a price of 0."""
    top = _rest_top_decoder.decode(text)
    bids = [(top.bid_price, top.bid_size)] if top.bid_price else []
    asks = [(top.ask_price, top.ask_size)] if top.ask_price else []
    return Snapshot(topic, None, None, bids, asks)


def read_depth(text: str) -> Delta:
    """Read changed levels."""
    frame = _depth_decoder.decode(text)
    exchange_ms = frame.event_ms if frame.transaction_ms is None else frame.transaction_ms
    if not (0 <= frame.first <= frame.last <= INT64_MAX and 0 <= exchange_ms <= INT64_MAX):
        raise FrameError("out_of_range", f"U {frame.first}, u {frame.last}, timestamp {exchange_ms}")
    previous = frame.previous
    if previous is not None and not NO_MESSAGE_BEFORE <= previous <= INT64_MAX:
        raise FrameError("out_of_range", f"pu {previous}")
    topic = f"{_stream_name(frame.symbol)}@depth"
    return Delta(topic, frame.last, exchange_ms, frame.bids, frame.asks, frame.first, previous)


def read_next(text: str, *, names_previous: bool) -> NextLevels | None:
    """Read changed levels; None where the frame is anything else, or not as documented.

    USD-M names the message before; on spot the first number of a message is the next one.
    """
    if not text.startswith(DEPTH_PREFIX):
        return None
    frame = _depth_decoder.decode(text)
    first, last, previous = frame.first, frame.last, frame.previous
    exchange_ms = frame.event_ms if frame.transaction_ms is None else frame.transaction_ms
    is_right = 0 <= first <= last <= INT64_MAX and 0 <= exchange_ms <= INT64_MAX and frame.symbol
    if not is_right or (previous is None) is names_previous:
        return None
    follows = first - 1 if previous is None else previous
    return f"{frame.symbol.lower()}@depth", follows, last, exchange_ms, None, frame.bids, frame.asks


def read_binance_trade(message: object) -> RawTrade:
    """Read a decoded message, or its text, of a single stream or of a combined one."""
    if isinstance(message, str | bytes):
        message = msgspec.json.decode(message)
    if isinstance(message, Mapping) and isinstance(message.get("data"), Mapping):
        message = message["data"]
    return msgspec.convert(message, RawTrade, strict=False)


def read_trade(text: str) -> TradeMessage:
    """Read a trade."""
    return _trade(_trade_decoder.decode(text), "trade", "trade")


def read_aggregate(text: str) -> TradeMessage:
    """Read trades of one order at one price, put together."""
    return _trade(_aggregate_decoder.decode(text), "aggTrade", "agg")


def _trade(frame: _Trade, stream: str, kind: str) -> TradeMessage:
    check_whole("trade id", frame.trade_id)
    check_whole("T", frame.trade_ms)
    is_placeholder = frame.origin == NO_TRADE and frame.price == frame.size == 0.0
    return TradeMessage(
        f"{_stream_name(frame.symbol)}@{stream}",
        str(frame.trade_id),
        frame.trade_ms,
        frame.price,
        frame.size,
        Side.SELL if frame.buyer_is_maker else Side.BUY,
        kind,
        None if frame.origin == MARKET_TRADE else frame.origin,  # INSURANCE_FUND, ADL
        frame.trade_id,
        is_placeholder=is_placeholder,
    )


def read_top(text: str) -> TopOfBook:
    """Read the best bid and ask."""
    frame = _top_decoder.decode(text)
    check_whole("u", frame.update)
    if frame.transaction_ms is not None:
        check_whole("T", frame.transaction_ms)
    check_best("bid", frame.bid_price, frame.bid_size)
    check_best("ask", frame.ask_price, frame.ask_size)
    return TopOfBook(
        f"{_stream_name(frame.symbol)}@bookTicker",
        frame.update,
        frame.transaction_ms,
        frame.bid_price,
        frame.bid_size,
        frame.ask_price,
        frame.ask_size,
    )


def read_kline(text: str) -> CandleMessage:
    """Read a bar as it stands."""
    frame = _kline_decoder.decode(text)
    bar = frame.bar
    check_whole("E", frame.event_ms)
    check_whole("t", bar.open_ms)
    check_whole("n", bar.count)
    return CandleMessage(
        f"{_stream_name(frame.symbol)}@kline_{bar.interval}",
        bar.interval,
        bar.open_ms,
        frame.event_ms,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.closed,
        count=bar.count,
    )


def _stream_name(symbol: str) -> str:
    """Write a market as its streams do: in small letters."""
    if not symbol:
        raise FrameError("malformed", "an empty symbol")
    return symbol.lower()


READERS: Mapping[str, Callable[[str], Message]] = MappingProxyType(
    {
        "depthUpdate": read_depth,
        "trade": read_trade,
        "aggTrade": read_aggregate,
        "bookTicker": read_top,
        "kline": read_kline,
    }
)
