"""Binance over REST, spot (`/api/v3`) and USD-M (`/fapi/v1`): markets, depth, trades, bars."""

from collections.abc import Callable, Mapping
from typing import Any

from collector.simulator.exchanges.binance import rest_past
from collector.simulator.exchanges.binance.rest_past import refusal
from collector.simulator.exchanges.listing import Listing
from collector.simulator.market import Instrument, SymbolFeed, last_day
from collector.simulator.messages import Answer, Request, compact_json

_DEPTHS = {"linear": (5, 10, 20, 50, 100, 500, 1000)}
_MOST_SPOT_DEPTH = 5000

KEY_HEADER = "X-MBX-APIKEY"

Handler = Callable[[SymbolFeed, str, Mapping[str, str], int], Answer]


def answer(feeds: Listing, request: Request, now_ms: int) -> Answer | None:
    """Answer a request for market data."""
    root, name = request.path[1:].split("/", 1)[0], request.path.split("/", 3)[3]
    market = {"api": "spot", "fapi": "linear"}.get(root, "inverse")
    if name == "ping":
        return Answer("{}")
    if name == "time":
        return _answer({"serverTime": now_ms})
    if name == "exchangeInfo":
        return _exchange_info(feeds, market, now_ms)
    if name == "historicalTrades" and market != "spot" and not request.headers.get(KEY_HEADER):
        return refusal(-2014, "API-key format invalid.", 401)
    if name == "ticker/24hr" and "symbol" not in request.query:
        return _answer([_day_row(feed, market, now_ms) for feed in feeds.started(market)])
    handler = _HANDLERS.get(name)
    return handler and _about_symbol(handler, feeds, market, request.query, now_ms)


def _about_symbol(
    handler: Handler, feeds: Listing, market: str, query: Mapping[str, str], now_ms: int
) -> Answer:
    if "symbol" not in query:
        return refusal(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    feed = feeds.get((market, query["symbol"]))
    if feed is None or feed.delisted:
        return refusal(-1121, "Invalid symbol.")
    feed.catch_up()
    try:
        return handler(feed, market, query, now_ms)
    except ValueError:
        return refusal(-1100, "Illegal characters found in a parameter.")


def weight(request: Request) -> int:
    """Return what a request costs of the minute's allowance."""
    is_spot = request.path.startswith("/api/")
    name = request.path.split("/", 3)[3]
    limit = request.query.get("limit", "")
    size = int(limit) if limit.isdigit() else 500 if name == "klines" or not is_spot else 100
    if name == "depth":
        steps = (
            ((100, 5), (500, 25), (1000, 50), (5000, 250))
            if is_spot
            else ((50, 2), (100, 5), (500, 10), (1000, 20))
        )
        return next((cost for most, cost in steps if size <= most), steps[-1][1])
    if name == "klines" and not is_spot:
        return next((cost for most, cost in ((99, 1), (499, 2), (1000, 5)) if size <= most), 10)
    costs = {"exchangeInfo": (20, 1), "klines": (2, 5), "trades": (25, 5), "historicalTrades": (25, 200)}
    costs["ticker/24hr"] = (2, 1) if "symbol" in request.query else (80, 40)
    costs |= {"aggTrades": (4, 20), "ticker/bookTicker": (2, 2)}
    return costs.get(name, (1, 1))[0 if is_spot else 1]


def _exchange_info(feeds: Listing, market: str, now_ms: int) -> Answer:
    rows = [_spot_row(one) if market == "spot" else _linear_row(one) for one in feeds.instruments(market)]
    per_minute = 6000 if market == "spot" else 2400
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": per_minute}
    ]
    info: dict[str, Any] = {"timezone": "UTC", "serverTime": now_ms}
    if market != "spot":
        info["futuresType"] = "U_MARGINED"
    return _answer(info | {"rateLimits": limits, "exchangeFilters": [], "symbols": rows})


def _filters(instrument: Instrument) -> list[dict[str, Any]]:
    tick, lot = instrument.price_text(1), instrument.size_text(1)
    highest, most = (
        instrument.price_text(100_000_000),
        instrument.size_text(instrument.typical_lots * 100_000),
    )
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": highest, "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": most, "stepSize": lot},
    ]


def _spot_row(instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": instrument.name,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": _filters(instrument),
        "permissions": ["SPOT"],
    }


def _linear_row(instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": instrument.name,
        "pair": instrument.name,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.settle,
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": instrument.size_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": _filters(instrument),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _depth(feed: SymbolFeed, market: str, query: Mapping[str, str], now_ms: int) -> Answer:
    depth = int(query.get("limit", "100" if market == "spot" else "500"))
    if market == "linear" and depth not in _DEPTHS["linear"]:
        return refusal(-4021, f"Depth limit {depth} is not valid.")
    if depth < 1:
        return refusal(-1130, "Data sent for parameter 'limit' is not valid.")
    instrument, book = feed.instrument, feed.rest_book(min(depth, _MOST_SPOT_DEPTH))
    sides = [
        [[instrument.price_text(abs(key)), instrument.size_text(lots)] for key, lots in side]
        for side in (book.bids, book.asks)
    ]
    times = {} if market == "spot" else {"E": now_ms, "T": book.at_ms}
    return _answer({"lastUpdateId": book.update_id, **times, "bids": sides[0], "asks": sides[1]})


def _best(feed: SymbolFeed, market: str, query: Mapping[str, str], now_ms: int) -> Answer:
    del query
    instrument = feed.instrument
    (bid, bid_lots), (ask, ask_lots) = feed.market.bids.top(1)[0], feed.market.asks.top(1)[0]
    row: dict[str, Any] = {
        "symbol": instrument.name,
        "bidPrice": instrument.price_text(-bid),
        "bidQty": instrument.size_text(bid_lots),
        "askPrice": instrument.price_text(ask),
        "askQty": instrument.size_text(ask_lots),
    }
    return _answer(row if market == "spot" else row | {"time": now_ms})


def _day(feed: SymbolFeed, market: str, query: Mapping[str, str], now_ms: int) -> Answer:
    del query
    return _answer(_day_row(feed, market, now_ms))


def _day_row(feed: SymbolFeed, market: str, now_ms: int) -> dict[str, Any]:
    instrument, day = feed.instrument, last_day(feed, now_ms)
    row = {
        "symbol": instrument.name,
        "priceChange": instrument.price_text(day.close - day.open),
        "priceChangePercent": f"{(day.close - day.open) / day.open * 100:.3f}",
        "weightedAvgPrice": instrument.price_text(round(day.turnover / day.lots) if day.lots else 0),
        "lastPrice": instrument.price_text(day.close),
        "lastQty": instrument.size_text(1),
        "openPrice": instrument.price_text(day.open),
        "highPrice": instrument.price_text(day.high),
        "lowPrice": instrument.price_text(day.low),
        "volume": instrument.size_text(day.lots),
        "quoteVolume": f"{instrument.turnover(day.turnover):.8f}",
        "openTime": day.open_ms,
        "closeTime": now_ms,
        "firstId": day.first_trade,
        "lastId": day.last_trade,
        "count": day.count,
    }
    if market != "spot":
        return row
    (bid, bid_lots), (ask, ask_lots) = feed.market.bids.top(1)[0], feed.market.asks.top(1)[0]
    return row | {
        "prevClosePrice": row["openPrice"],
        "bidPrice": instrument.price_text(-bid),
        "bidQty": instrument.size_text(bid_lots),
        "askPrice": instrument.price_text(ask),
        "askQty": instrument.size_text(ask_lots),
    }


def _answer(value: object) -> Answer:
    return Answer(compact_json(value))


_HANDLERS: dict[str, Handler] = {
    "depth": _depth,
    "trades": rest_past.newest_trades,
    "historicalTrades": rest_past.trades_from_id,
    "aggTrades": rest_past.aggregates,
    "klines": rest_past.bars,
    "ticker/bookTicker": _best,
    "ticker/24hr": _day,
}
