"""OKX v5 over REST: instruments, books, trades and candles, the newest first."""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from collector.simulator.admission import Rule
from collector.simulator.exchanges.listing import Listing
from collector.simulator.exchanges.okx.frames import candle_row, level_rows
from collector.simulator.market import (
    INTERVALS_MS,
    Instrument,
    RestBook,
    SymbolFeed,
    bars_back,
    last_day,
    position_at,
    position_of,
    trade_count,
    trades_since,
)
from collector.simulator.messages import Answer, Request, compact_json

# From 6 hours on, bars without `utc` in their name begin at midnight in Hong Kong; only the others are here.
INTERVALS = {
    "1m": "1m",
    "3m": "3m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1H": "1h",
    "2H": "2h",
    "4H": "4h",
    "6Hutc": "6h",
    "12Hutc": "12h",
    "1Dutc": "1d",
}
_MARKETS = {"SPOT": "spot", "SWAP": "linear", "FUTURES": "", "OPTION": ""}
# Requests in 2 s.
_ALLOWED = {
    "market/books": 40,
    "market/books-full": 10,
    "market/candles": 40,
    "market/history-candles": 20,
    "market/tickers": 20,
    "market/trades": 100,
    "market/history-trades": 20,
    "public/instruments": 20,
    "public/time": 10,
}
_WINDOW_MS = 2_000
_RECENT_BARS = 1_440
_MOST_BARS = 300
_MOST_TRADES_MS = 90 * 24 * 3_600_000
_SINCE_BY_ID, _SINCE_BY_TIME = "1", "2"

Handler = Callable[[SymbolFeed, Mapping[str, str], int], Answer]


def answer(feeds: Listing, request: Request, now_ms: int) -> Answer | None:
    """Answer a request for market data."""
    name = _name(request)
    if name == "public/time":
        return _ok([{"ts": str(now_ms)}])
    if name == "public/instruments":
        return _instruments(feeds, request.query)
    if name == "market/tickers":
        return _tickers(feeds, request.query, now_ms)
    handler = _HANDLERS.get(name)
    return handler and _about_instrument(handler, feeds, request.query, now_ms)


def rule(request: Request) -> Rule:
    """Return how often a path may be asked."""
    name = _name(request)
    return Rule(name, _ALLOWED.get(name, 20), _WINDOW_MS)


def refusal(code: str, note: str, status: int = 200) -> Answer:
    """Refuse a request as OKX does."""
    return Answer(compact_json({"code": code, "msg": note, "data": []}), status)


def _about_instrument(handler: Handler, feeds: Listing, query: Mapping[str, str], now_ms: int) -> Answer:
    wanted = query.get("instId", "")
    if not wanted:
        return refusal("50014", "Parameter instId can not be empty", 400)
    feed = feeds.get(("linear" if wanted.endswith("-SWAP") else "spot", wanted))
    if feed is None or feed.delisted:
        return refusal("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    feed.catch_up()
    try:
        return handler(feed, query, now_ms)
    except ValueError as error:
        return refusal("51000", f"Parameter {error} error", 400)


def _name(request: Request) -> str:
    return request.path.removeprefix("/api/v5/")


def _instruments(feeds: Listing, query: Mapping[str, str]) -> Answer:
    kind = query.get("instType", "")
    if kind not in _MARKETS:
        if kind:
            return refusal("51000", "Parameter instType error", 400)
        return refusal("50014", "Parameter instType can not be empty", 400)
    listed = feeds.instruments(_MARKETS[kind])
    rows = [_row(kind, number, one) for number, one in enumerate(listed, 1)]
    return _ok([row for row in rows if query.get("instId") in {None, row["instId"]}])


def _tickers(feeds: Listing, query: Mapping[str, str], now_ms: int) -> Answer:
    kind = query.get("instType", "")
    if kind not in _MARKETS:
        return refusal("51000", "Parameter instType error", 400)
    return _ok([_ticker(kind, feed, now_ms) for feed in feeds.started(_MARKETS[kind])])


def _ticker(kind: str, feed: SymbolFeed, now_ms: int) -> dict[str, Any]:
    """Tell the volume twice: as orders count it, and in the quote of a spot market, the base of a swap."""
    instrument, day = feed.instrument, last_day(feed, now_ms)
    price = instrument.price_text
    in_currency = (
        instrument.base_text(day.lots) if instrument.is_linear else f"{instrument.turnover(day.turnover):.8f}"
    )
    (bid, bid_lots), (ask, ask_lots) = feed.market.bids.top(1)[0], feed.market.asks.top(1)[0]
    return {
        "instType": kind,
        "instId": instrument.name,
        "last": price(day.close),
        "lastSz": instrument.size_text(1),
        "askPx": price(ask),
        "askSz": instrument.size_text(ask_lots),
        "bidPx": price(-bid),
        "bidSz": instrument.size_text(bid_lots),
        "open24h": price(day.open),
        "high24h": price(day.high),
        "low24h": price(day.low),
        "volCcy24h": in_currency,
        "vol24h": instrument.size_text(day.lots),
        "ts": str(now_ms),
        "sodUtc0": price(day.open),
        "sodUtc8": price(day.open),
    }


def _row(kind: str, number: int, instrument: Instrument) -> dict[str, Any]:
    family = f"{instrument.base}-{instrument.quote}"
    is_swap = instrument.is_linear
    contract = 10.0**-instrument.conventions.contract_decimals
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": "" if is_swap else instrument.base,
        "category": "1",
        "contTdSwTime": "1704876947000",
        "ctMult": "1" if is_swap else "",
        "ctType": "linear" if is_swap else "",
        "ctVal": f"{contract:g}" if is_swap else "",
        "ctValCcy": instrument.base if is_swap else "",
        "expTime": "",
        "futureSettlement": False,
        "instFamily": family if is_swap else "",
        "instId": instrument.name,
        "instIdCode": number,
        "instType": kind,
        "lever": "100" if is_swap else "10",
        "listTime": "1606468572000",
        "lotSz": instrument.size_text(1),
        "maxLmtAmt": "20000000",
        "maxLmtSz": "100000000",
        "maxMktAmt": "" if is_swap else "1000000",
        "maxMktSz": "35000" if is_swap else "1000000",
        "minSz": instrument.size_text(1),
        "optType": "",
        "quoteCcy": "" if is_swap else instrument.quote,
        "ruleType": "normal",
        "settleCcy": instrument.settle or "",
        "state": "live",
        "stk": "",
        "tickSz": instrument.price_text(1),
        "uly": family if is_swap else "",
    }


def _book(feed: SymbolFeed, query: Mapping[str, str], now_ms: int) -> Answer:
    del now_ms
    sides, book = _sides(feed, _number(query, "sz", 1, most=400))
    return _ok([{**sides, "ts": str(book.at_ms), "seqId": book.update_id}])


def _full_book(feed: SymbolFeed, query: Mapping[str, str], now_ms: int) -> Answer:
    """List levels without the 0 of older days."""
    del now_ms
    sides, book = _sides(feed, _number(query, "sz", 1, most=5_000))
    short = {name: [[price, size, orders] for price, size, _, orders in rows] for name, rows in sides.items()}
    return _ok([{**short, "ts": str(book.at_ms)}])


def _sides(feed: SymbolFeed, depth: int) -> tuple[dict[str, list[list[str]]], RestBook]:
    book = feed.rest_book(depth)
    sides = (("asks", book.asks), ("bids", book.bids))
    return {name: level_rows(feed.instrument, side) for name, side in sides}, book


def _trades(feed: SymbolFeed, query: Mapping[str, str], now_ms: int) -> Answer:
    del now_ms
    limit = _number(query, "limit", 100, most=500)
    return _trade_rows(feed, trade_count(feed) - limit, limit)


def _past_trades(feed: SymbolFeed, query: Mapping[str, str], now_ms: int) -> Answer:
    """List the trades before (`after`) an id or a time, or those newer than an id (`before`)."""
    limit = _number(query, "limit", 100, most=100)
    oldest, end = position_at(feed, now_ms - _MOST_TRADES_MS), trade_count(feed)
    if query.get("type", _SINCE_BY_ID) == _SINCE_BY_TIME:
        end = position_at(feed, int(query["after"])) if "after" in query else end
        start = end - limit
    else:
        end = position_of(feed, int(query["after"])) if "after" in query else end
        after = position_of(feed, int(query["before"]) + 1) if "before" in query else 0
        start = max(after, end - limit)
    start = max(start, oldest)
    return _trade_rows(feed, start, end - start)


def _trade_rows(feed: SymbolFeed, start: int, count: int) -> Answer:
    instrument = feed.instrument
    return _ok(
        [
            {
                "instId": instrument.name,
                "side": "buy" if trade.buys else "sell",
                "sz": instrument.size_text(trade.lots),
                "source": "0",
                "px": instrument.price_text(trade.ticks),
                "tradeId": instrument.trade_id(trade.number),
                "ts": str(trade.at_ms),
            }
            for trade in reversed(trades_since(feed, start, count))
        ]
    )


def _recent_bars(feed: SymbolFeed, query: Mapping[str, str], now_ms: int) -> Answer:
    interval_ms = _interval_ms(query)
    oldest_ms = now_ms // interval_ms * interval_ms - (_RECENT_BARS - 1) * interval_ms
    return _bars(feed, query, oldest_ms, now_ms, now_ms)


def _past_bars(feed: SymbolFeed, query: Mapping[str, str], now_ms: int) -> Answer:
    """List bars that are over, however old."""
    interval_ms = _interval_ms(query)
    return _bars(feed, query, 0, now_ms // interval_ms * interval_ms - 1, now_ms)


def _bars(feed: SymbolFeed, query: Mapping[str, str], oldest_ms: int, newest_ms: int, now_ms: int) -> Answer:
    """List the newest bars that begin after `before` and before `after`."""
    interval_ms = _interval_ms(query)
    limit = _number(query, "limit", 100, most=_MOST_BARS)
    newest_ms = min(newest_ms, int(query.get("after", newest_ms + 1)) - 1)
    start_ms = max(oldest_ms, int(query.get("before", -1)) + 1)
    bars = islice(bars_back(feed, interval_ms, start_ms, newest_ms), limit)
    return _ok([candle_row(feed.instrument, bar, confirmed=bar.end_ms <= now_ms) for bar in bars])


def _interval_ms(query: Mapping[str, str]) -> int:
    interval = INTERVALS.get(query.get("bar", "1m"))
    if interval is None:
        raise ValueError("bar")
    return INTERVALS_MS[interval]


def _number(query: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    text = query.get(name, str(default))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise ValueError(name)
    return int(text)


def _ok(data: object) -> Answer:
    return Answer(compact_json({"code": "0", "msg": "", "data": data}))


_HANDLERS: dict[str, Handler] = {
    "market/books": _book,
    "market/books-full": _full_book,
    "market/candles": _recent_bars,
    "market/history-candles": _past_bars,
    "market/trades": _trades,
    "market/history-trades": _past_trades,
}
