"""Read the past of Binance's REST: trades, aggregates and bars.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api.
"""

from typing import NamedTuple

import msgspec
from msgspec import field

from collector.errors import FrameError
from collector.events import OHLCV, CandleMessage, Channel, Side, TradeMessage, check_whole
from collector.exchanges.limits import MarketKind
from collector.exchanges.past import Page, Past


class _Single(msgspec.Struct, gc=False):
    number: int = field(name="id")
    price: float
    size: float = field(name="qty")
    at_ms: int = field(name="time")
    buyer_is_maker: bool = field(name="isBuyerMaker")


class _Aggregate(msgspec.Struct, gc=False):
    number: int = field(name="a")
    price: float = field(name="p")
    size: float = field(name="q")
    first: int = field(name="f")
    last: int = field(name="l")
    at_ms: int = field(name="T")
    buyer_is_maker: bool = field(name="m")


class _Bar(NamedTuple):
    """After these come the volume of taker buys, and a number without meaning."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    close_ms: int
    quote_volume: float
    trades: int
    taker_volume: float
    taker_quote_volume: float
    unused: str


# Numbers come as text: read as floats without a Python object for each (strict=False).
_singles_decoder = msgspec.json.Decoder(list[_Single], strict=False)
_aggregates_decoder = msgspec.json.Decoder(list[_Aggregate], strict=False)
_bars_decoder = msgspec.json.Decoder(list[_Bar], strict=False)


def named(market_id: str, kind: MarketKind, channel: str) -> dict[str, str]:
    """Return the parameters that name a stream."""
    del kind  # each has methods of its own
    meant = Channel.of(channel)
    return {"symbol": market_id} | ({"interval": meant.interval} if meant.family == OHLCV else {})


def read_page(text: str, channel: str, past: Past) -> Page:
    """Read an answer."""
    meant = Channel.of(channel)
    try:
        if meant.family == OHLCV:
            return Page(bars=[_bar(each, meant.interval) for each in _bars_decoder.decode(text)])
        if past.id_kind == "agg":
            return Page([_trade(each, "agg") for each in _aggregates_decoder.decode(text)])
        return Page([_trade(each, "trade") for each in _singles_decoder.decode(text)])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error


def _trade(row: _Single | _Aggregate, kind: str) -> TradeMessage:
    check_whole("trade id", row.number)
    check_whole("time", row.at_ms)
    return TradeMessage(
        "",
        str(row.number),
        row.at_ms,
        row.price,
        row.size,
        Side.SELL if row.buyer_is_maker else Side.BUY,
        kind,
        number=row.number,
        past=True,
        is_placeholder=row.price == row.size == 0.0,  # of USD-M: an id without a trade
        singles=None if isinstance(row, _Single) else _singles(row),
    )


def _singles(row: _Aggregate) -> tuple[int, int]:
    check_whole("first trade id", row.first)
    check_whole("last trade id", row.last)
    return row.first, row.last


def _bar(row: _Bar, interval: str) -> CandleMessage:
    check_whole("open time", row.open_ms)
    check_whole("count", row.trades)
    numbers = row.open, row.high, row.low, row.close, row.volume
    return CandleMessage(
        "", interval, row.open_ms, None, *numbers, confirmed=True, count=row.trades, past=True
    )
