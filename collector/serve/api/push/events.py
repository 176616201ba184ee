"""Turn what the collector publishes into messages, each made once however many clients want it. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from collector.app import SYNCING, VERIFIED
from collector.events import Candle, L2Update, SegmentChanged, SystemState, Trade
from collector.serve.api import documents
from collector.serve.api.names import Market
from collector.serve.api.push.outbox import Message
from collector.serve.api.push.wants import Want, covering

Published = Trade | Candle | SegmentChanged | SystemState
LEVELS_SHOWN = 10  # of a book that is pushed; /api/books gives more


class Addressed(NamedTuple):
    """A message and whom it is for."""

    wants: frozenset[Want]
    message: Message


def addressed(published: Iterable[Published], masked: Callable[[str], str] = str) -> Iterator[Addressed]:
    """Yield the messages; of a bar that is not over only its last state."""
    events = list(published)
    last = {
        (one.exchange, one.symbol, one.interval, one.open_ms): place
        for place, one in enumerate(events)
        if isinstance(one, Candle)
    }
    for place, one in enumerate(events):
        match one:
            case Trade():
                yield _trade(one)
            case Candle():
                is_last = last[one.exchange, one.symbol, one.interval, one.open_ms] == place
                if one.confirmed or is_last:
                    yield _bar(one)
            case SegmentChanged() | SystemState():
                yield _state(one, masked)


def book_messages(update: L2Update) -> tuple[Addressed, Addressed]:
    """Return a state of a book, as its levels and as its features."""
    place = {**_place(update.exchange, update.symbol), "channel": update.channel}
    moment = {"sequence": update.sequence, "at_ns": update.received_at_ns, "exchange_ms": update.exchange_ms}
    levels = {"bids": update.bids[:LEVELS_SHOWN], "asks": update.asks[:LEVELS_SHOWN]}
    return (
        _to("books", update, Message.of("book", {**place, **moment, "state": VERIFIED, **levels})),
        _to("features", update, Message.of("feature", {**place, **moment, **documents.features(update)})),
    )


def _place(exchange: str, symbol: str) -> dict[str, object]:
    return {"exchange": exchange, "symbol": symbol, "name": Market(exchange, symbol).name}


def _to(channel: str, event: L2Update | Trade, message: Message) -> Addressed:
    return Addressed(frozenset(covering(channel, event.exchange, event.symbol)), message)


def _trade(trade: Trade) -> Addressed:
    place = _place(trade.exchange, trade.symbol)
    more = {"side": trade.side.value, "at_ns": trade.received_at_ns}
    return _to("ticks", trade, Message.of("tick", {**place, **documents.tick_of(trade), **more}))


def _bar(bar: Candle) -> Addressed:
    names = ("interval", "open", "high", "low", "close", "volume", "vwap", "count", "confirmed")
    told = {name: getattr(bar, name) for name in names}
    message = Message.of("bar", {**_place(bar.exchange, bar.symbol), "open_time": bar.open_ms, **told})
    return Addressed(frozenset(covering("bars", bar.exchange, bar.symbol, bar.interval)), message)


def _state(event: SegmentChanged | SystemState, masked: Callable[[str], str]) -> Addressed:
    """Return that a stream is verified or not any more, or what a connection or an exchange is."""
    told: dict[str, object] = {"exchange": event.exchange, "at_ns": event.at_ns}
    told |= {"cause": masked(event.cause), "detail": masked(event.detail)}
    symbol: str | None = None
    if isinstance(event, SegmentChanged):
        symbol = event.symbol
        state = VERIFIED if event.verified else SYNCING
        told |= {"symbol": symbol, "channel": event.channel, "state": state}
    else:
        told |= {"symbol": None, "connection": event.connection, "state": event.state.value}
    return Addressed(frozenset(covering("states", event.exchange, symbol)), Message.of("state", told))
