"""Binance's trades, aggregates and bars of the past over REST, page by page.

How pages are asked for is told on the pages "Market Data endpoints" of spot and "Market Data" of USD-M, at
https://developers.binance.com/docs.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from collector.simulator.market import (
    INTERVALS_MS,
    Aggregate,
    Bar,
    Instrument,
    PastTrade,
    SymbolFeed,
    aggregate_count,
    aggregate_position_at,
    aggregate_position_of,
    aggregates_since,
    bars_back,
    bars_from,
    position_at,
    position_of,
    trade_count,
    trades_since,
)
from collector.simulator.messages import Answer, compact_json

_MOST_ROWS, _MOST_LINEAR_BARS, _MOST_LINEAR_SINGLES = 1000, 1500, 500
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
# What is older USD-M does not have: "not older than 24 hours", "within the last three months".
_AGGREGATES_MS, _SINGLES_MS = _DAY_MS, 90 * _DAY_MS


def refusal(code: int, note: str, status: int = 400, headers: Mapping[str, str] | None = None) -> Answer:
    """Refuse a request as Binance does."""
    return Answer(compact_json({"code": code, "msg": note}), status, headers or {})


def newest_trades(feed: SymbolFeed, market: str, query: Mapping[str, str], now_ms: int) -> Answer:
    """List the newest single trades: `trades`."""
    del now_ms
    limit = min(_MOST_ROWS, int(query.get("limit", "500")))
    return _trade_rows(feed, market, trades_since(feed, trade_count(feed) - limit, limit))


def trades_from_id(feed: SymbolFeed, market: str, query: Mapping[str, str], now_ms: int) -> Answer:
    """List single trades from an id on, or the newest: `historicalTrades`."""
    default, most = ("500", _MOST_ROWS) if market == "spot" else ("100", _MOST_LINEAR_SINGLES)
    limit = min(most, int(query.get("limit", default)))
    start = position_of(feed, int(query["fromId"])) if "fromId" in query else trade_count(feed) - limit
    if market != "spot":
        start = max(start, position_at(feed, now_ms - _SINGLES_MS))
    return _trade_rows(feed, market, trades_since(feed, start, limit))


def aggregates(feed: SymbolFeed, market: str, query: Mapping[str, str], now_ms: int) -> Answer:
    """List aggregates from an id or a time on, or the newest up to a time: `aggTrades`."""
    limit = min(_MOST_ROWS, int(query.get("limit", "500")))
    times = {name: int(query[name]) for name in ("startTime", "endTime") if name in query}
    end_ms = times.get("endTime", now_ms)
    if "fromId" in query and times:
        return refusal(-1128, "Combination of optional parameters invalid.")
    if market != "spot" and len(times) > 1 and end_ms - times["startTime"] > _HOUR_MS:
        return refusal(-1127, "More than 1 hours between startTime and endTime.")
    if "fromId" in query:
        start = aggregate_position_of(feed, int(query["fromId"]))
    elif "startTime" in query:
        start = aggregate_position_at(feed, times["startTime"])
    elif "endTime" in query:
        start = aggregate_position_at(feed, end_ms + 1) - limit
    else:
        start = aggregate_count(feed) - limit
    if market != "spot":
        start = max(start, aggregate_position_at(feed, now_ms - _AGGREGATES_MS))
    rows = [aggregate_row(feed.instrument, each) for each in aggregates_since(feed, start, limit)]
    if market != "spot":
        for row in rows:
            del row["M"]
    # Those that a clock which was set back left in the future are the newest all the same.
    return _answer([row for row in rows if row["T"] <= end_ms] if times else rows)


def bars(feed: SymbolFeed, market: str, query: Mapping[str, str], now_ms: int) -> Answer:
    """List bars, the one that is still open too: with a start the oldest from there, else the newest."""
    interval = query.get("interval", "")
    if interval not in INTERVALS_MS:
        return refusal(-1120, "Invalid interval.")
    limit = min(_MOST_ROWS if market == "spot" else _MOST_LINEAR_BARS, int(query.get("limit", "500")))
    step_ms = INTERVALS_MS[interval]
    end_ms = min(int(query.get("endTime", now_ms)), now_ms)
    if "startTime" in query:
        found = list(islice(bars_from(feed, step_ms, int(query["startTime"]), end_ms), limit))
    else:
        found = list(islice(bars_back(feed, step_ms, 0, end_ms), limit))[::-1]
    return _answer([_bar_row(feed.instrument, bar) for bar in found])


def aggregate_row(instrument: Instrument, each: Aggregate) -> dict[str, Any]:
    """Describe an aggregate."""
    return {
        "a": each.number,
        "p": instrument.price_text(each.ticks),
        "q": instrument.size_text(each.lots),
        "f": each.first,
        "l": each.last,
        "T": each.at_ms,
        "m": not each.buys,
        "M": True,
    }


def turnover_texts(instrument: Instrument, bar: Bar) -> tuple[str, str]:
    """Write a bar's turnover, and that of its taker buys."""
    unit, decimals = 10 ** (instrument.tick_decimals + instrument.lot_decimals), instrument.price_decimals
    decimals = max(decimals, 5)
    return f"{bar.turnover / unit:.{decimals}f}", f"{bar.buy_turnover / unit:.{decimals}f}"


def _trade_rows(feed: SymbolFeed, market: str, trades: Iterable[PastTrade]) -> Answer:
    instrument, rows = feed.instrument, []
    for trade in trades:
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


def _answer(value: object) -> Answer:
    return Answer(compact_json(value))
