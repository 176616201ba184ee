"""Define where the columns of the tables stand in the schema MarketData."""

from collections.abc import Mapping
from dataclasses import dataclass

from collector.database import STORED_LEVELS

ORIGIN = "source"  # a word of its own for what is NULL or `ws` in the tables: what came live
ANY_TABLE = {
    "timestamp": "received_at",  # null where it is the text of received_at_ns
    "exchange": "exchange",
    "symbol": "market_symbol",
    "received_at_ns": "received_at_ns",
    "segment_id": "segment_id",
    "data_source": "data_source",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the rows of a table, or of two tables with a row each of one event, stand in MarketData."""

    name: str
    event_type: str
    details: tuple[str, ...]  # the records within MarketData that such an event has
    tables: Mapping[str, Mapping[str, str]]  # for each table the field of each column; levels by place


_BOOK = {
    **ANY_TABLE,
    **{name: name for name in ("exchange_timestamp", "sequence", "depth")},
    "mid_price": "price",
    "bid_price_1": "bid_price",
    "ask_price_1": "ask_price",
    "bid_size_1": "book.bid_size",
    "ask_size_1": "book.ask_size",
    **{
        name: f"book.{name}"
        for name in (
            "spread",
            "spread_bps",
            "microprice",
            "order_book_imbalance",
            "total_bid_volume_10",
            "total_ask_volume_10",
            "data_quality_score",
            "ofi",
        )
    },
}
_LEVELS = {
    **ANY_TABLE,
    **{name: name for name in ("sequence", "depth")},
    **{
        f"{what}_{place + 1}": f"levels.{field}.{place}"
        for what, field in (
            ("bid_price", "bid_prices"),
            ("bid_size", "bid_sizes"),
            ("ask_price", "ask_prices"),
            ("ask_size", "ask_sizes"),
            ("ofi", "ofi"),
        )
        for place in range(STORED_LEVELS)
    },
    "imbalance_5": "levels.imbalance_5",
    "imbalance_10": "levels.imbalance_10",
}
_TRADES = {
    **ANY_TABLE,
    "exchange_timestamp": "exchange_timestamp",
    "origin": ORIGIN,
    "price": "price",
    "size": "volume",
    **{
        name: f"trade.{name}"
        for name in ("kind", "trade_id", "side", "marked", "first_trade_id", "last_trade_id")
    },
}
_OHLCV = {
    **ANY_TABLE,
    "exchange_timestamp": "exchange_timestamp",
    "origin": ORIGIN,
    "close": "price",
    "volume": "volume",
    **{
        name: f"bar.{name}"
        for name in ("interval", "open_time", "open", "high", "low", "vwap", "count", "confirmed")
    },
}

LAYOUTS = {
    one.name: one
    for one in (
        Layout("book", "depth", ("book",), {"book": _BOOK}),
        Layout("book+levels", "depth", ("book", "levels"), {"book": _BOOK, "levels": _LEVELS}),
        Layout("levels", "depth", ("levels",), {"levels": _LEVELS}),
        Layout("trades", "trade", ("trade",), {"trades": _TRADES}),
        Layout("ohlcv", "kline", ("bar",), {"ohlcv": _OHLCV}),
    )
}
SHARED = tuple(name for name, field in _BOOK.items() if _LEVELS.get(name) == field)
PLAIN = {  # tables whose rows are no market data: they travel in the record that closes a part
    "events": ("session_id", "at_ns", "kind", "exchange", "symbol", "code", "detail"),
    "rejected": (
        "session_id",
        "batch_id",
        "exchange",
        "symbol",
        "channel",
        "reason",
        "detail",
        "original",
        "at_ns",
    ),
}
