"""Put a collector into one document that can be taken in at a glance. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from types import MappingProxyType
from typing import Any

from collector.app import VERIFIED, StreamView
from collector.clock import seconds_since
from collector.events import OHLCV, Channel, StreamKey
from collector.serve.api.documents import finite, identity
from collector.serve.api.names import Market

NOBODY: Mapping[StreamKey, float] = MappingProxyType({})


def stream_rows(
    views: Sequence[StreamView], at_ns: int, rates: Mapping[StreamKey, float] = NOBODY
) -> list[dict[str, Any]]:
    """Return a row for each stream; `rates` are updates a second."""
    prices = {
        view.key[:2]: view.glance.trade.price
        for view in views
        if view.glance is not None and view.glance.trade is not None
    }
    return [_stream_row(view, at_ns, rates.get(view.key), prices.get(view.key[:2])) for view in views]


def _stream_row(view: StreamView, at_ns: int, rate: float | None, last_price: float | None) -> dict[str, Any]:
    exchange, symbol, channel = view.key
    now = view.glance
    book = None if now is None else now.book
    return {
        "exchange": exchange,
        "symbol": symbol,
        "name": Market(exchange, symbol).name,
        "channel": channel,
        "kind": Channel.of(channel).family,
        "state": view.state,
        "bid": None if book is None else finite(book.best_bid),
        "bid_size": None if book is None else finite(book.bid_size_1),
        "ask": None if book is None else finite(book.best_ask),
        "ask_size": None if book is None else finite(book.ask_size_1),
        "mid": None if book is None else finite(book.mid_price),
        "microprice": None if book is None else finite(book.microprice),
        "spread": None if book is None else finite(book.spread),
        "imbalance": None if book is None else finite(book.order_book_imbalance),
        "last_price": last_price,
        "updates_per_s": finite(rate),
        "lag_s": _lag_s(view),
        "age_s": _age_s(view, at_ns),
        "gaps": view.gaps,
        "last_cause": view.last_cause,
        "last_cause_ns": view.last_cause_ns or None,
        "counts": identity([view.counts]),
    }


def exchange_rows(
    views: Sequence[StreamView], at_ns: int, statuses: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """Return a row for each exchange; `statuses` are what they say of themselves, each after its name."""
    said = {text.partition(" ")[0]: text.partition(" ")[2] for text in statuses}
    names = dict.fromkeys(view.key.exchange for view in views)
    return [
        _exchange_row(name, [one for one in views if one.key.exchange == name], at_ns, said.get(name, ""))
        for name in names
    ]


def _exchange_row(name: str, views: Sequence[StreamView], at_ns: int, status: str) -> dict[str, Any]:
    lags_s = [lag_s for view in views if (lag_s := _lag_s(view)) is not None]
    ages_s = [age_s for view in views if (age_s := _age_s(view, at_ns)) is not None]
    states = {view.state for view in views}
    return {
        "exchange": name,
        "state": states.pop() if len(states) == 1 else "partly",
        "status": status,
        "lag_s": median(lags_s) if lags_s else None,
        "age_s": min(ages_s, default=None),
        "streams": len(views),
        "verified": sum(view.state == VERIFIED for view in views),
    }


def _lag_s(view: StreamView) -> float | None:
    """Return how long the last message was on its way; a bar's time is that of its interval, not its own."""
    lag_ms = None if view.glance is None else view.glance.lag_ms
    is_bar = Channel.of(view.key.channel).family == OHLCV
    return None if lag_ms is None or is_bar else lag_ms / 1000.0


def _age_s(view: StreamView, at_ns: int) -> float | None:
    return None if view.glance is None else seconds_since(view.glance.received_at_ns, at_ns)
