"""Make the documents that are given out, from what streams show of themselves. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from collector.events import UNKNOWN, BookNow, L2Update, StreamKey, StreamNow, Trade
from collector.query import Page
from collector.serve.api import shapes
from collector.serve.api.names import Market, Names
from collector.sinks import AccountingState

IDENTITY = ("received", "carried_in", "written", "merged", "sampled_out", "rejected", "dropped", "pending")
NS_A_MS = 1_000_000


def markets_of(streams: Iterable[StreamNow]) -> list[Market]:
    """Return the markets of some streams, each once."""
    return list(dict.fromkeys(Market(one.key.exchange, one.key.symbol, one.market_id) for one in streams))


def ticks(streams: Sequence[StreamNow], names: Names, chosen: Iterable[Market]) -> dict[str, shapes.Tick]:
    """Return the latest of each market that has a price, by the name that it alone has."""
    found: dict[str, shapes.Tick] = {}
    for market in chosen:
        own = [one for one in streams if one.key[:2] == market[:2]]
        tick = _tick(market, own)
        if tick is not None:
            found[names.key(market.exchange, market.symbol)] = tick
    return found


def _tick(market: Market, streams: Iterable[StreamNow]) -> shapes.Tick | None:
    mid: shapes.Tick | None = None
    for one in streams:
        if one.trade is not None:
            return tick_of(one.trade)
        price = None if one.book is None else one.book.mid_price
        if price is not None and mid is None:
            at_ms = one.exchange_ms if one.exchange_ms is not None else one.received_at_ns // NS_A_MS
            mid = {
                "symbol": market.symbol,
                "price": price,
                "quantity": None,
                "timestamp": at_ms,
                "trade_id": None,
            }
    return mid


def tick_of(trade: Trade) -> shapes.Tick:
    """Return a trade as a tick; its time is that of its receipt where the exchange sends none."""
    at_ms = trade.exchange_ms if trade.exchange_ms is not None else trade.received_at_ns // NS_A_MS
    return {
        "symbol": trade.symbol,
        "price": trade.price,
        "quantity": trade.size,
        "timestamp": at_ms,
        "trade_id": trade.trade_id,
    }


def deepest_book(streams: Iterable[StreamKey], depth_of: Mapping[StreamKey, int]) -> StreamKey | None:
    """Return the deepest of some books; None where there is none."""
    books = [key for key in streams if key in depth_of]
    return max(books, key=lambda key: depth_of[key], default=None)


def book(now: BookNow, market: Market, state: str, depth: int) -> shapes.Book:
    """Return a book with at most so many levels a side."""
    shown = now.book
    return {
        "exchange": now.key.exchange,
        "symbol": now.key.symbol,
        "name": market.name,
        "channel": now.key.channel,
        "state": state,
        "sequence": None if shown is None else shown.sequence,
        "at_ns": 0 if shown is None else shown.received_at_ns,
        "verification": now.verification,
        "bids": [] if shown is None else list(shown.bids[:depth]),
        "asks": [] if shown is None else list(shown.asks[:depth]),
    }


FEATURE_NAMES = (
    *("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1", "mid_price", "spread", "spread_bps"),
    *("microprice", "order_book_imbalance", "total_bid_volume_10", "total_ask_volume_10"),
)


def features(update: L2Update) -> dict[str, Any]:
    """Return the features of one state of a book, as the hot table has them."""
    return {name: finite(getattr(update, name)) for name in FEATURE_NAMES}


def finite(number: float | None) -> float | None:
    """Return a number that JSON has; None for one that it has not."""
    return number if number is not None and math.isfinite(number) else None


def rows(page: Page) -> shapes.Rows:
    """Return a page of rows. The id of a segment is text: it needs more bits than a number of JSON keeps."""
    if "segment_id" in page.columns:
        place = page.columns.index("segment_id")
        for row in page.rows:
            row[place] = None if row[place] is None else str(row[place])
    return {"columns": list(page.columns), "rows": page.rows, "next": page.next}


def identity(states: Iterable[AccountingState]) -> shapes.Identity:
    """Add up what became of every event."""
    total = dict.fromkeys(IDENTITY, 0)
    difference = 0
    for one in states:
        for term in IDENTITY:
            total[term] += one.rejected_total if term == "rejected" else getattr(one, term)
        difference += abs(one.difference)
    return {**total, "difference": difference}  # type: ignore[typeddict-item]  # its terms are the keys


def stats(states: Sequence[AccountingState]) -> shapes.Stats:
    """Return what became of every event, altogether and by stream."""
    streams: list[shapes.StreamStats] = [
        {
            "exchange": one.exchange,
            "symbol": one.symbol,
            "channel": one.channel,
            "reasons": dict(one.rejected),
            **identity([one]),
        }
        for one in states
        if one.symbol != UNKNOWN or one.received
    ]
    return {"total": identity(states), "streams": streams}


def symbols(
    stored: Iterable[Mapping[str, Any]], collected: Sequence[StreamNow], names: Names
) -> shapes.Symbols:
    """Return the markets that are collected now, and those of which something is stored."""
    spans: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in stored:
        spans.setdefault((one["exchange"], one["symbol"]), []).append(one)
    found: list[shapes.SymbolRow] = []
    for market in names.markets:
        own = spans.get(market[:2], [])
        now = [one.key.channel for one in collected if one.key[:2] == market[:2]]
        found.append(
            {
                "exchange": market.exchange,
                "symbol": market.symbol,
                "name": market.name,
                "key": names.key(market.exchange, market.symbol),
                "market": market.kind,
                "collected": bool(now),
                "channels": sorted({*now, *(one["channel"] for one in own)}),
                "first_ns": min((one["first_ns"] for one in own), default=None),
                "last_ns": max((one["last_ns"] for one in own), default=None),
            }
        )
    return {"symbols": found}


def sessions(found: Iterable[Mapping[str, Any]], running_id: str | None) -> list[shapes.Session]:
    """Return sessions with their states; of those without an end only our own is known to run."""
    return [{**one, "state": _session_state(one, running_id)} for one in found]  # type: ignore[typeddict-item]


def _session_state(session: Mapping[str, Any], running_id: str | None) -> str:
    if session["ended_ns"] is not None:
        return "crashed" if session["end_cause"] == "crash" else "ended"
    return "running" if session["session_id"] == running_id else "open"
