"""Read the past of Kraken's REST: trades, and the newest bars.

https://docs.kraken.com/api-reference/market-data/get-recent-trades and, beside it, `get-ohlc-data`.
"""

from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from collector.errors import FrameError
from collector.events import OHLCV, CandleMessage, Channel, Side, TradeMessage, check_whole
from collector.exchanges.kraken.topics import MINUTES
from collector.exchanges.limits import MarketKind
from collector.exchanges.past import Page, Past

LAST = "last"
MS_A_S = 1000


class _Trade(NamedTuple):
    """One trade; its time has seven decimals, which no double tells apart."""

    price: float
    size: float
    at_s: Decimal
    side: Literal["b", "s"]  # the taker's
    order: str
    miscellaneous: str
    number: int


class _Bar(NamedTuple):
    """One bar; `vwap` is 0 where nobody traded."""

    open_s: int
    open: float
    high: float
    low: float
    close: float
    vwap: float
    volume: float
    trades: int


class _Answer(msgspec.Struct, gc=False):
    result: dict[str, msgspec.Raw]


_answer_decoder = msgspec.json.Decoder(_Answer)
# Numbers come as text: read as floats without a Python object for each (strict=False).
_last_decoder = msgspec.json.Decoder(int, strict=False)
_trades_decoder = msgspec.json.Decoder(list[_Trade], strict=False)
_bars_decoder = msgspec.json.Decoder(list[_Bar], strict=False)


def named(market_id: str, kind: MarketKind, channel: str) -> dict[str, str]:
    """Return the parameters that name a stream."""
    del kind
    meant = Channel.of(channel)
    interval = {"interval": str(MINUTES[meant.interval])} if meant.family == OHLCV else {}
    return {"pair": market_id, **interval}


def read_page(text: str, channel: str, past: Past) -> Page:
    """Read an answer: the rows stand under Kraken's full name of the market."""
    del past
    meant = Channel.of(channel)
    try:
        result = _answer_decoder.decode(text).result
        last = _last_decoder.decode(result[LAST])
        rows = next(rows for name, rows in result.items() if name != LAST)
        if meant.family == OHLCV:  # there `last` is the newest bar that is over
            return Page(bars=[_bar(each, meant.interval, last) for each in _bars_decoder.decode(rows)])
        return Page([_trade(each) for each in _trades_decoder.decode(rows)], next=last)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, KeyError, StopIteration) as error:
        raise FrameError("malformed", str(error)) from error


def _trade(row: _Trade) -> TradeMessage:
    check_whole("trade id", row.number)
    at_ms = int(row.at_s * MS_A_S)
    check_whole("time", at_ms)
    side = Side.BUY if row.side == "b" else Side.SELL
    return TradeMessage("", str(row.number), at_ms, row.price, row.size, side, number=row.number, past=True)


def _bar(row: _Bar, interval: str, last_s: int) -> CandleMessage:
    check_whole("time", row.open_s)
    check_whole("count", row.trades)
    return CandleMessage(
        "",
        interval,
        row.open_s * MS_A_S,
        None,
        *(row.open, row.high, row.low, row.close, row.volume),
        confirmed=row.open_s <= last_s,
        vwap=row.vwap,
        count=row.trades,
        past=True,
    )
