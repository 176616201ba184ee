"""Read the past of OKX's REST: single trades, and bars.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-trades-history and
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-candlesticks-history.
"""

from typing import Annotated, Generic, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import field

from collector.errors import FrameError
from collector.events import OHLCV, CandleMessage, Channel, Side, TradeMessage, check_whole
from collector.exchanges.limits import MarketKind
from collector.exchanges.okx.topics import CODES
from collector.exchanges.past import Page, Past

Row = TypeVar("Row")


class _Trade(msgspec.Struct, gc=False):
    trade_id: Annotated[str, msgspec.Meta(min_length=1)] = field(name="tradeId")
    price: float = field(name="px")
    size: float = field(name="sz")
    side: Side  # the taker's
    at_ms: int = field(name="ts")


class _Bar(NamedTuple):
    """One bar; its volume counts contracts of a swap."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    volume_in_currency: str
    volume_in_quote: str
    confirmed: Literal["0", "1"]


class _Answer(msgspec.Struct, Generic[Row], gc=False):
    data: list[Row]


# Numbers come as text: read as floats without a Python object for each (strict=False).
_trades_decoder = msgspec.json.Decoder(_Answer[_Trade], strict=False)
_bars_decoder = msgspec.json.Decoder(_Answer[_Bar], strict=False)


def named(market_id: str, kind: MarketKind, channel: str) -> dict[str, str]:
    """Return the parameters that name a stream."""
    del kind  # instruments of all kinds have names of their own
    meant = Channel.of(channel)
    return {"instId": market_id} | ({"bar": CODES[meant.interval]} if meant.family == OHLCV else {})


def read_page(text: str, channel: str, past: Past) -> Page:
    """Read an answer. Trades are single ones, where the websocket puts those of one order together."""
    del past
    meant = Channel.of(channel)
    try:
        if meant.family == OHLCV:
            return Page(bars=[_bar(each, meant.interval) for each in _bars_decoder.decode(text).data])
        return Page([_trade(each) for each in _trades_decoder.decode(text).data])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error


def _trade(row: _Trade) -> TradeMessage:
    check_whole("ts", row.at_ms)
    return TradeMessage("", row.trade_id, row.at_ms, row.price, row.size, row.side, past=True)


def _bar(row: _Bar, interval: str) -> CandleMessage:
    check_whole("open time", row.open_ms)
    numbers = row.open, row.high, row.low, row.close, row.volume
    return CandleMessage("", interval, row.open_ms, None, *numbers, confirmed=row.confirmed == "1", past=True)
