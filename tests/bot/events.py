"""Updates and trades as the streams would publish them."""

from collector.events.market import L2Update, Trade
from collector.events.messages import Side
from collector.events.notices import SegmentChanged


def update(
    symbol: str = "BTC/USDT:USDT",
    bid: float = 100.0,
    *,
    exchange: str = "bybit",
    channel: str = "book.50",
    at_ns: int = 1,
) -> L2Update:
    return L2Update(
        exchange=exchange,
        symbol=symbol,
        channel=channel,
        exchange_ms=5,
        received_at_ns=at_ns,
        sequence=1,
        segment_id=1,
        shown=1,
        ten_known=False,
        numbers=(bid, 1.0, bid + 1.0, 2.0),
    )


def trade(
    price: float = 100.0,
    at_ms: int | None = 0,
    *,
    symbol: str = "BTC/USDT:USDT",
    exchange: str = "bybit",
    size: float = 1.0,
    marked: str | None = None,
    received_at_ns: int = 0,
) -> Trade:
    return Trade(
        exchange=exchange,
        symbol=symbol,
        exchange_ms=at_ms,
        received_at_ns=received_at_ns,
        trade_id="1",
        price=price,
        size=size,
        side=Side.BUY,
        marked=marked,
    )


def segment(*, verified: bool, channel: str = "trade", symbol: str = "BTC/USDT:USDT") -> SegmentChanged:
    return SegmentChanged("bybit", symbol, channel, 1, 1, verified)
