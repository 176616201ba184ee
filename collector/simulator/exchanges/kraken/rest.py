"""Kraken over REST: assets, pairs, depth, trades, bars, under the names of its older days."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from collector.simulator.market import (
    INTERVALS_MS,
    Instrument,
    PastTrade,
    SymbolFeed,
    bars_back,
    last_day,
    position_at,
    trade_count,
    trades_since,
)
from collector.simulator.messages import Answer, Request, compact_json

INTERVALS = {
    1: "1m",
    5: "5m",
    15: "15m",
    30: "30m",
    60: "1h",
    240: "4h",
    1440: "1d",
    10080: "1w",
    21600: "15d",
}
_OWN_NAMES = {"BTC": "XBT", "DOGE": "XDG"}
_OLD_COINS = {"XBT", "XDG", "ETH", "LTC", "XRP", "XLM", "ETC", "XMR", "ZEC"}
_OLD_MONEY = {"USD", "EUR", "GBP", "CAD", "JPY", "AUD"}
_MOST_BARS = 720
_MOST_TRADES = 1000
_MOST_LEVELS = 500

Feeds = Mapping[str, SymbolFeed]


def answer(feeds: Feeds, request: Request, now_ms: int, system: str = "online") -> Answer | None:
    """Answer a request for market data."""
    name = request.path.removeprefix("/0/public/")
    if name == "SystemStatus":
        return _ok({"status": system, "timestamp": ""})
    whole = {"Time": _time, "Assets": _assets, "AssetPairs": _pairs}
    if "pair" not in request.query:
        whole["Ticker"] = _all_tickers
    if name in whole:
        return whole[name](feeds, now_ms)
    handler = {"Depth": _depth, "Trades": _trades, "OHLC": _bars, "Ticker": _ticker}.get(name)
    if handler is None:
        return None
    wanted = request.query.get("pair", "")
    for feed in feeds.values():
        instrument = feed.instrument
        if wanted in {pair_key(instrument), alternative(instrument), instrument.symbol} and not feed.delisted:
            feed.catch_up()
            try:
                return handler(feed, request.query, now_ms)
            except ValueError:
                return refusal("EGeneral:Invalid arguments")
    return refusal("EQuery:Unknown asset pair")


def refusal(error: str, status: int = 200) -> Answer:
    """Refuse as Kraken does: with a 200."""
    return Answer(compact_json({"error": [error]}), status)


def asset_key(asset: str) -> str:
    """Return the name of an asset: X before old coins, Z before old money."""
    own = _OWN_NAMES.get(asset, asset)
    return f"X{own}" if own in _OLD_COINS else f"Z{own}" if own in _OLD_MONEY else own


def alternative(instrument: Instrument) -> str:
    """Return the short name of a pair."""
    return "".join(_OWN_NAMES.get(asset, asset) for asset in (instrument.base, instrument.quote))


def pair_key(instrument: Instrument) -> str:
    """Return the full name of a pair: prefixes only where both sides have one."""
    keys = asset_key(instrument.base), asset_key(instrument.quote)
    names = [_OWN_NAMES.get(asset, asset) for asset in (instrument.base, instrument.quote)]
    return (
        "".join(keys) if all(key != name for key, name in zip(keys, names, strict=True)) else "".join(names)
    )


def _time(feeds: Feeds, now_ms: int) -> Answer:
    del feeds
    return _ok({"unixtime": now_ms // 1000, "rfc1123": ""})


def _assets(feeds: Feeds, now_ms: int) -> Answer:
    del now_ms
    names = sorted(
        {name for feed in feeds.values() for name in (feed.instrument.base, feed.instrument.quote)}
    )
    result = {}
    for name in names:
        money = name in _OLD_MONEY
        result[asset_key(name)] = {
            "aclass": "currency",
            "altname": _OWN_NAMES.get(name, name),
            "decimals": 4 if money else 10,
            "display_decimals": 2 if money else 5,
            "status": "enabled",
        }
    return _ok(result)


def _pairs(feeds: Feeds, now_ms: int) -> Answer:
    del now_ms
    return _ok(
        {pair_key(feed.instrument): _pair(feed.instrument) for feed in feeds.values() if not feed.delisted}
    )


def _pair(instrument: Instrument) -> dict[str, Any]:
    names = [_OWN_NAMES.get(asset, asset) for asset in (instrument.base, instrument.quote)]
    return {
        "altname": alternative(instrument),
        "wsname": "/".join(names),
        "aclass_base": "currency",
        "base": asset_key(instrument.base),
        "aclass_quote": "currency",
        "quote": asset_key(instrument.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": instrument.tick_decimals,
        "lot_decimals": instrument.lot_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": instrument.price_text(1),
        "status": "online",
    }


def _depth(feed: SymbolFeed, query: Mapping[str, str], now_ms: int) -> Answer:
    depth = min(_MOST_LEVELS, max(1, int(query.get("count", "100"))))
    instrument, book = feed.instrument, feed.rest_book(depth)
    at_s = now_ms // 1000
    sides = {
        name: [[instrument.price_text(abs(key)), instrument.size_text(lots), at_s] for key, lots in side]
        for name, side in (("asks", book.asks), ("bids", book.bids))
    }
    return _ok({pair_key(instrument): sides})


def _trades(feed: SymbolFeed, query: Mapping[str, str], now_ms: int) -> Answer:
    del now_ms
    count = int(query.get("count", "1000"))
    if not 1 <= count <= _MOST_TRADES:
        raise ValueError(count)
    since_ns = int(query.get("since", "0"))
    if since_ns < 10**12:
        since_ns *= 10**9  # seconds are taken too
    start = _position_after(feed, since_ns) if "since" in query else max(0, trade_count(feed) - count)
    rows = list(_with_times(feed, start, trades_since(feed, start, count)))
    price, size = feed.instrument.price_text, feed.instrument.size_text
    # Times are numbers with a fixed count of decimals, which `json` would not keep.
    texts = [
        f'["{price(trade.ticks)}","{size(trade.lots)}",{at_ns // 10**9}.{at_ns % 10**9 // 100:07d}'
        f',"{"b" if trade.buys else "s"}","{"m" if trade.number % 3 else "l"}","",{trade.number}]'
        for trade, at_ns in rows
    ]
    last_ns = rows[-1][1] if rows else since_ns
    return Answer(
        f'{{"error":[],"result":{{"{pair_key(feed.instrument)}":[{",".join(texts)}],"last":"{last_ns}"}}}}'
    )


def _position_after(feed: SymbolFeed, since_ns: int) -> int:
    """Find the first trade after `since`.

    The n-th trade of a millisecond is n nanoseconds later: `last` tells them apart, their shown times do not.
    """
    at_ms, within_ns = divmod(since_ns, 1_000_000)
    start = position_at(feed, at_ms)
    return min(start + within_ns + 1, position_at(feed, at_ms + 1))


def _with_times(feed: SymbolFeed, start: int, trades: Iterable[PastTrade]) -> Iterator[tuple[PastTrade, int]]:
    at_ms, first = -1, 0
    for position, trade in enumerate(trades, start):
        if trade.at_ms != at_ms:
            at_ms = trade.at_ms
            first = position if position > start else position_at(feed, at_ms)
        yield trade, at_ms * 1_000_000 + position - first


def _bars(feed: SymbolFeed, query: Mapping[str, str], now_ms: int) -> Answer:
    interval = INTERVALS.get(int(query.get("interval", "1")))
    if interval is None:
        return refusal("EGeneral:Invalid arguments")
    step_ms = INTERVALS_MS[interval]
    since_ms = int(query.get("since", "-1")) * 1000
    # Never more than the last 720; the last one, which is still open, whatever `since` says.
    newest = list(islice(bars_back(feed, step_ms, 0, now_ms), _MOST_BARS))[::-1]
    bars = [bar for bar in newest if bar.open_ms > since_ms or bar is newest[-1]]
    instrument = feed.instrument
    rows = [
        [
            bar.open_ms // 1000,
            *(instrument.price_text(ticks) for ticks in (bar.open, bar.high, bar.low, bar.close)),
            instrument.price_text(round(bar.turnover / bar.lots) if bar.lots else 0),
            instrument.size_text(bar.lots),
            bar.count,
        ]
        for bar in bars
    ]
    return _ok({pair_key(instrument): rows, "last": newest[-2].open_ms // 1000 if len(newest) > 1 else 0})


def _ticker(feed: SymbolFeed, query: Mapping[str, str], now_ms: int) -> Answer:
    del query
    return _ok({pair_key(feed.instrument): _ticker_of(feed, now_ms)})


def _all_tickers(feeds: Feeds, now_ms: int) -> Answer:
    living = [feed for feed in feeds.values() if not feed.delisted]
    for feed in living:
        feed.catch_up()
    return _ok({pair_key(feed.instrument): _ticker_of(feed, now_ms) for feed in living})


def _ticker_of(feed: SymbolFeed, now_ms: int) -> dict[str, Any]:
    """Tell of today and of the last 24 hours; here both are the same."""
    instrument, day = feed.instrument, last_day(feed, now_ms)
    price, size = instrument.price_text, instrument.size_text
    (bid, bid_lots), (ask, ask_lots) = feed.market.bids.top(1)[0], feed.market.asks.top(1)[0]
    mean = price(round(day.turnover / day.lots) if day.lots else 0)
    return {
        "a": [price(ask), str(round(instrument.size(ask_lots))), size(ask_lots)],
        "b": [price(-bid), str(round(instrument.size(bid_lots))), size(bid_lots)],
        "c": [price(day.close), size(1)],
        "v": [size(day.lots)] * 2,
        "p": [mean] * 2,
        "t": [day.count] * 2,
        "l": [price(day.low)] * 2,
        "h": [price(day.high)] * 2,
        "o": price(day.open),
    }


def _ok(result: object) -> Answer:
    return Answer(compact_json({"error": [], "result": result}))
