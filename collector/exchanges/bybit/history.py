"""Read the past of Bybit's REST: the newest trades, and bars.

https://bybit-exchange.github.io/docs/v5/market/recent-trade and, beside it, `kline`.
"""

from typing import Annotated, Generic, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import field

from collector.errors import FrameError
from collector.events import OHLCV, CandleMessage, Channel, Side, TradeMessage, check_whole
from collector.exchanges.bybit.market_data import BLOCK_TRADE
from collector.exchanges.bybit.topics import CODES
from collector.exchanges.limits import MarketKind
from collector.exchanges.past import Page, Past

Row = TypeVar("Row")


class _Trade(msgspec.Struct, gc=False):
    trade_id: Annotated[str, msgspec.Meta(min_length=1)] = field(name="execId")
    price: float
    size: float
    side: Literal["Buy", "Sell"]  # the taker's
    at_ms: int = field(name="time")
    is_block: bool = field(name="isBlockTrade", default=False)


class _Bar(NamedTuple):
    """After these comes the turnover."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float


class _Result(msgspec.Struct, Generic[Row], gc=False):
    list: list[Row]


class _Answer(msgspec.Struct, Generic[Row], gc=False):
    result: _Result[Row]


# Numbers come as text: read as floats without a Python object for each (strict=False).
_trades_decoder = msgspec.json.Decoder(_Answer[_Trade], strict=False)
_bars_decoder = msgspec.json.Decoder(_Answer[_Bar], strict=False)


def named(market_id: str, kind: MarketKind, channel: str) -> dict[str, str]:
    """Return the parameters that name a stream."""
    meant = Channel.of(channel)
    interval = {"interval": CODES[meant.interval]} if meant.family == OHLCV else {}
    return {"category": kind, "symbol": market_id, **interval}


def read_page(text: str, channel: str, past: Past) -> Page:
    """Read an answer."""
    del past
    meant = Channel.of(channel)
    try:
        if meant.family == OHLCV:
            bars = _bars_decoder.decode(text).result.list
            return Page(bars=[_bar(each, meant.interval) for each in bars])
        return Page([_trade(each) for each in _trades_decoder.decode(text).result.list])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error


def _trade(row: _Trade) -> TradeMessage:
    check_whole("time", row.at_ms)
    side = Side.BUY if row.side == "Buy" else Side.SELL
    marked = BLOCK_TRADE if row.is_block else None
    return TradeMessage("", row.trade_id, row.at_ms, row.price, row.size, side, marked=marked, past=True)


def _bar(row: _Bar, interval: str) -> CandleMessage:
    check_whole("start", row.open_ms)
    numbers = row.open, row.high, row.low, row.close, row.volume
    return CandleMessage("", interval, row.open_ms, None, *numbers, confirmed=True, past=True)
