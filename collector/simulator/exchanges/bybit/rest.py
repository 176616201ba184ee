"""Bybit v5 over REST: what `load_markets`, a snapshot and a back-fill ask for."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from collector.simulator.exchanges.listing import Listing
from collector.simulator.market import (
    INTERVALS_MS,
    Bar,
    Instrument,
    SymbolFeed,
    bars_back,
    bars_from,
    last_day,
    trade_count,
    trades_since,
)
from collector.simulator.messages import Answer, Request, compact_json

INTERVALS = {
    "1": "1m",
    "3": "3m",
    "5": "5m",
    "15": "15m",
    "30": "30m",
    "60": "1h",
    "120": "2h",
    "240": "4h",
    "360": "6h",
    "720": "12h",
    "D": "1d",
    "W": "1w",
}
_BAD_PARAMETER = 10001
_MOST_BARS = 1000


def answer(feeds: Listing, request: Request, now_ms: int) -> Answer | None:
    """Answer a request for market data."""
    name = request.path.removeprefix("/v5/market/")
    if name == "time":
        return _ok({"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}, now_ms)
    category = request.query.get("category", "")
    if name == "instruments-info":
        return _instruments(feeds, category, request.query, now_ms)
    if name == "tickers" and "symbol" not in request.query:
        return _all_tickers(feeds, category, now_ms)
    handlers = {"orderbook": _order_book, "kline": _bars, "recent-trade": _trades, "tickers": _tickers}
    handler = handlers.get(name)
    if handler is None:
        return None
    feed = feeds.get((category, request.query.get("symbol", "")))
    if feed is None or feed.delisted:
        return _error(_BAD_PARAMETER, "Not supported symbols", now_ms)
    feed.catch_up()
    return handler(feed, category, request.query, now_ms)


def bar_texts(instrument: Instrument, bar: Bar) -> dict[str, str]:
    """Write the numbers of a bar."""
    turnover = instrument.turnover(bar.turnover)
    return {
        "open": instrument.price_text(bar.open),
        "close": instrument.price_text(bar.close),
        "high": instrument.price_text(bar.high),
        "low": instrument.price_text(bar.low),
        "volume": instrument.size_text(bar.lots) if bar.lots else "0",
        "turnover": f"{turnover:.8f}".rstrip("0").rstrip("."),
    }


def _instruments(feeds: Listing, category: str, query: Mapping[str, str], now_ms: int) -> Answer:
    if category not in {"spot", "linear", "inverse", "option"}:
        return _error(_BAD_PARAMETER, "params error: Category is invalid", now_ms)
    wanted = query.get("symbol")
    rows = [
        _spot_row(number, one) if category == "spot" else _linear_row(number, one)
        for number, one in enumerate(feeds.instruments(category), 1)
        if wanted in {None, one.name} and query.get("status") != "PreLaunch"
    ]
    result: dict[str, Any] = {"category": category, "list": rows}
    if category != "spot":
        # Pages hold 500 rows unless asked otherwise; the cursor is the number of the next row.
        start, size = int(query.get("cursor") or 0), min(1000, int(query.get("limit", "500")))
        result["list"] = rows[start : start + size]
        result["nextPageCursor"] = str(start + size) if start + size < len(rows) else ""
    return _ok(result, now_ms)


def _spot_row(number: int, instrument: Instrument) -> dict[str, Any]:
    return {
        "symbolId": number,
        "symbol": instrument.name,
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": instrument.size_text(1),
            "quotePrecision": "0.0000001",
            "minOrderQty": instrument.size_text(1),
            "maxOrderQty": "230",
            "minOrderAmt": "5",
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": "230",
            "maxMarketOrderQty": "120",
            "postOnlyMaxLimitOrderSize": "1150",
        },
        "priceFilter": {"tickSize": instrument.price_text(1)},
        "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
        "symbolType": "",
        "xstockMultiplier": "1",
    }


def _linear_row(number: int, instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": instrument.name,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "launchTime": "1584230400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(instrument.price_decimals),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": instrument.price_text(1),
            "maxPrice": instrument.price_text(19_999_998),
            "tickSize": instrument.price_text(1),
        },
        "lotSizeFilter": {
            "maxOrderQty": instrument.size_text(1_500_000),
            "minOrderQty": instrument.size_text(1),
            "qtyStep": instrument.size_text(1),
            "postOnlyMaxOrderQty": instrument.size_text(1_500_000),
            "maxMktOrderQty": instrument.size_text(150_000),
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": instrument.settle,
        "copyTrading": "both",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
        "displayName": "",
        "symbolType": "",
        "forbidUplWithdrawal": False,
        "symbolId": number,
    }


def _order_book(feed: SymbolFeed, category: str, query: Mapping[str, str], now_ms: int) -> Answer:
    default, most = (1, 200) if category == "spot" else (25, 500)
    depth = int(query.get("limit", default))
    if not 1 <= depth <= most:
        return _error(_BAD_PARAMETER, "params error: limit invalid", now_ms)
    instrument, book = feed.instrument, feed.rest_book(depth)
    sides = {
        letter: [[instrument.price_text(abs(key)), instrument.size_text(lots)] for key, lots in side]
        for letter, side in (("b", book.bids), ("a", book.asks))
    }
    # REST answers from the deepest book; its `u` is that of the 1000-level stream.
    result = {
        "s": instrument.name,
        **sides,
        "ts": now_ms,
        "u": feed.numbering("book.1000").at(book.step),
        "seq": book.update_id,
        "cts": book.at_ms,
    }
    return _ok(result, now_ms)


def _bars(feed: SymbolFeed, category: str, query: Mapping[str, str], now_ms: int) -> Answer:
    interval = INTERVALS.get(query.get("interval", ""))
    limit = int(query.get("limit", "200"))
    if interval is None or not 1 <= limit <= _MOST_BARS:
        return _error(_BAD_PARAMETER, "Invalid period!" if interval is None else "Invalid limit", now_ms)
    step_ms = INTERVALS_MS[interval]
    end_ms = min(int(query.get("end", now_ms)), now_ms)
    start_ms = int(query.get("start", 0))
    if "start" in query and "end" not in query:
        bars = list(islice(bars_from(feed, step_ms, start_ms, end_ms), limit))[::-1]
    else:
        # The newest `limit` bars up to `end`: a window that is too wide loses its beginning.
        bars = list(islice(bars_back(feed, step_ms, start_ms, end_ms), limit))
    rows = []
    for bar in bars:
        texts = bar_texts(feed.instrument, bar)
        rows.append(
            [
                str(bar.open_ms),
                *(texts[key] for key in ("open", "high", "low", "close", "volume", "turnover")),
            ]
        )
    return _ok({"symbol": feed.instrument.name, "category": category, "list": rows}, now_ms)


def _trades(feed: SymbolFeed, category: str, query: Mapping[str, str], now_ms: int) -> Answer:
    most = 60 if category == "spot" else 1000
    limit = min(most, int(query.get("limit", "60" if category == "spot" else "500")))
    instrument = feed.instrument
    rows = [
        {
            "execId": instrument.trade_id(trade.number),
            "symbol": instrument.name,
            "price": instrument.price_text(trade.ticks),
            "size": instrument.size_text(trade.lots),
            "side": "Buy" if trade.buys else "Sell",
            "time": str(trade.at_ms),
            "isBlockTrade": False,
            "isRPITrade": False,
        }
        for trade in reversed(trades_since(feed, trade_count(feed) - limit, limit))
    ]
    return _ok({"category": category, "list": rows}, now_ms)


def _tickers(feed: SymbolFeed, category: str, query: Mapping[str, str], now_ms: int) -> Answer:
    del query
    return _ok({"category": category, "list": [_ticker(feed, now_ms)]}, now_ms)


def _all_tickers(feeds: Listing, category: str, now_ms: int) -> Answer:
    """Tell the tickers of a category; a market that is only listed so far has none."""
    if category not in {"spot", "linear", "inverse"}:
        return _error(_BAD_PARAMETER, "params error: Category is invalid", now_ms)
    return _ok(
        {"category": category, "list": [_ticker(feed, now_ms) for feed in feeds.started(category)]}, now_ms
    )


def _ticker(feed: SymbolFeed, now_ms: int) -> dict[str, Any]:
    instrument, market = feed.instrument, feed.market
    (bid, bid_lots), (ask, ask_lots) = market.bids.top(1)[0], market.asks.top(1)[0]
    day = last_day(feed, now_ms)
    only_linear = {
        "indexPrice": instrument.price_text(day.close),
        "markPrice": instrument.price_text(day.close),
        "openInterest": instrument.size_text(day.lots),
        "openInterestValue": f"{instrument.turnover(day.turnover):.2f}",
        "fundingRate": "0.0001",
    }
    return {
        **(only_linear if instrument.is_linear else {}),
        "symbol": instrument.name,
        "bid1Price": instrument.price_text(-bid),
        "bid1Size": instrument.size_text(bid_lots),
        "ask1Price": instrument.price_text(ask),
        "ask1Size": instrument.size_text(ask_lots),
        "lastPrice": instrument.price_text(day.close),
        "prevPrice24h": instrument.price_text(day.open),
        "highPrice24h": instrument.price_text(day.high),
        "lowPrice24h": instrument.price_text(day.low),
        "turnover24h": f"{instrument.turnover(day.turnover):.4f}",
        "volume24h": instrument.size_text(day.lots),
    }


def _ok(result: dict[str, Any], now_ms: int) -> Answer:
    shape = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now_ms}
    return Answer(compact_json(shape))


def _error(code: int, note: str, now_ms: int) -> Answer:
    shape = {"retCode": code, "retMsg": note, "result": {}, "retExtInfo": {}, "time": now_ms}
    return Answer(compact_json(shape))
