"""Binance over REST, spot (`/api/v3`) and USD-M (`/fapi/v1`): markets, depth, trades, bars."""

from collections.abc import Callable, Mapping
from typing import Any

from collector.simulator.exchanges.listing import Listing
from collector.simulator.exchanges.messages import Answer, Request, compact_json
from collector.simulator.market.bars import INTERVALS_MS, Bar
from collector.simulator.market.instruments import Instrument
from collector.simulator.market.rest_history import (
    PAST_TRADES,
    bars_between,
    position_at,
    position_of,
    trade_count,
    trades_since,
)
from collector.simulator.market.symbol_feed import SymbolFeed

_DEPTHS = {"linear": (5, 10, 20, 50, 100, 500, 1000)}
_MOST_SPOT_DEPTH = 5000
_MOST_TRADES = 1000
_HOUR_MS = 3_600_000

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
    costs = {"exchangeInfo": (20, 1), "klines": (2, 5), "trades": (25, 5), "historicalTrades": (25, 20)}
    costs |= {"aggTrades": (4, 20), "ticker/bookTicker": (2, 2)}
    return costs.get(name, (1, 1))[0 if is_spot else 1]


def refusal(code: int, note: str, status: int = 400, headers: Mapping[str, str] | None = None) -> Answer:
    """Refuse a request as Binance does."""
    return Answer(compact_json({"code": code, "msg": note}), status, headers or {})


def turnover_texts(instrument: Instrument, bar: Bar) -> tuple[str, str]:
    """Write a bar's turnover, and that of its taker buys."""
    unit, decimals = 10 ** (instrument.tick_decimals + instrument.lot_decimals), instrument.price_decimals
    decimals = max(decimals, 5)
    return f"{bar.turnover / unit:.{decimals}f}", f"{bar.buy_turnover / unit:.{decimals}f}"


def aggregate(feed: SymbolFeed, group: int, first: int, end: int) -> dict[str, Any]:
    """Describe the live trades [first, end) as one aggregate."""
    rows = [feed.trades[at] for at in range(first, end)]
    at_ms, ticks, _, buys, _ = rows[0]
    return {
        "a": aggregate_base(feed) + group,
        "p": feed.instrument.price_text(ticks),
        "q": feed.instrument.size_text(sum(row[2] for row in rows)),
        "f": feed.trade_ids.at(first),
        "l": feed.trade_ids.at(end - 1),
        "T": at_ms,
        "m": not buys,
        "M": True,
    }


def aggregate_base(feed: SymbolFeed) -> int:
    """Return the id of the first live aggregate: a numbering of its own, well below that of trades."""
    return feed.trade_base * 3 // 4


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


def _trades(feed: SymbolFeed, market: str, query: Mapping[str, str], now_ms: int) -> Answer:
    del now_ms
    limit = min(_MOST_TRADES, int(query.get("limit", "500")))
    start = position_of(feed, int(query["fromId"])) if "fromId" in query else trade_count(feed) - limit
    instrument, rows = feed.instrument, []
    for trade in trades_since(feed, start, limit):
        value = trade.ticks * trade.lots / 10 ** (instrument.tick_decimals + instrument.lot_decimals)
        row = {
            "id": trade.number,
            "price": instrument.price_text(trade.ticks),
            "qty": instrument.size_text(trade.lots),
            "quoteQty": f"{value:.{instrument.price_decimals}f}",
            "time": trade.at_ms,
            "isBuyerMaker": not trade.buys,
        }
        rows.append(row | {"isBestMatch": True} if market == "spot" else row)
    return _answer(rows)


def _aggregates(feed: SymbolFeed, market: str, query: Mapping[str, str], now_ms: int) -> Answer:
    limit = min(_MOST_TRADES, int(query.get("limit", "500")))
    count = PAST_TRADES + len(feed.groups)
    end_ms = int(query.get("endTime", now_ms))
    if "fromId" in query:
        start = int(query["fromId"]) - aggregate_base(feed) + PAST_TRADES
    elif "startTime" in query:
        start = _group_at(feed, int(query["startTime"]))
        if "endTime" in query and end_ms - int(query["startTime"]) > _HOUR_MS and market == "linear":
            return refusal(-4166, "Search window is restricted to recent 1 hour.")
    elif "endTime" in query:
        start = _group_at(feed, end_ms + 1) - limit
    else:
        start = count - limit
    rows = [_group(feed, at) for at in range(max(0, start), min(count, start + limit))]
    if market == "linear":
        for row in rows:
            del row["M"]
    return _answer([row for row in rows if row["T"] <= end_ms])


def _group_at(feed: SymbolFeed, at_ms: int) -> int:
    """Find the first aggregate not before a time; in the past every trade is one."""
    position = position_at(feed, at_ms)
    return position if position < PAST_TRADES else PAST_TRADES + feed.groups.find(position - PAST_TRADES)


def _group(feed: SymbolFeed, at: int) -> dict[str, Any]:
    group = at - PAST_TRADES
    if group >= 0:
        end = feed.groups[group + 1][0] if group + 1 < len(feed.groups) else len(feed.trades)
        return aggregate(feed, group, feed.groups[group][0], end)
    trade = trades_since(feed, at, 1)[0]
    return {
        "a": aggregate_base(feed) + group,
        "p": feed.instrument.price_text(trade.ticks),
        "q": feed.instrument.size_text(trade.lots),
        "f": trade.number,
        "l": trade.number,
        "T": trade.at_ms,
        "m": not trade.buys,
        "M": True,
    }


def _bars(feed: SymbolFeed, market: str, query: Mapping[str, str], now_ms: int) -> Answer:
    interval = query.get("interval", "")
    if interval not in INTERVALS_MS:
        return refusal(-1120, "Invalid interval.")
    limit = min(1000 if market == "spot" else 1500, int(query.get("limit", "500")))
    step_ms = INTERVALS_MS[interval]
    end_ms = min(int(query.get("endTime", now_ms)), now_ms)
    # With a start the oldest `limit` bars from there, without one the newest up to the end.
    if "startTime" in query:
        start_ms = -(-int(query["startTime"]) // step_ms) * step_ms
    else:
        start_ms = end_ms // step_ms * step_ms - (limit - 1) * step_ms
    bars = bars_between(feed, step_ms, start_ms, end_ms)[:limit]
    return _answer([_bar_row(feed.instrument, bar) for bar in bars])


def _bar_row(instrument: Instrument, bar: Bar) -> list[Any]:
    price, size = instrument.price_text, instrument.size_text
    turnover, buy_turnover = turnover_texts(instrument, bar)
    return [
        bar.open_ms,
        *(price(ticks) for ticks in (bar.open, bar.high, bar.low, bar.close)),
        size(bar.lots),
        bar.end_ms - 1,
        turnover,
        bar.count,
        size(bar.buy_lots),
        buy_turnover,
        "0",
    ]


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


def _answer(value: object) -> Answer:
    return Answer(compact_json(value))


_HANDLERS: dict[str, Handler] = {
    "depth": _depth,
    "trades": _trades,
    "historicalTrades": _trades,
    "aggTrades": _aggregates,
    "klines": _bars,
    "ticker/bookTicker": _best,
}
