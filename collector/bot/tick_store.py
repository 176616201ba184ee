"""Keep the latest trade and the latest top of the book of each market."""

import threading
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from collector.bot.symbol_names import Market, SymbolNames
from collector.events.bus import MOST_WAITING, EventBus
from collector.events.market import L2Update, Trade
from collector.events.notices import SegmentChanged


class Top(msgspec.Struct, frozen=True, gc=False):
    """The best bid and ask of a market; None where a side is empty.

    `live` is False once the book ceased to be verified: the prices are its last proven ones, and may be old.
    """

    exchange: str
    symbol: str
    channel: str
    bid_price: float | None
    bid_size: float | None
    ask_price: float | None
    ask_size: float | None
    exchange_ms: int | None
    received_at_ns: int
    live: bool = True


class Tick(NamedTuple):
    """The latest of one market; None for what did not come yet."""

    top: Top | None = None
    trade: Trade | None = None


class TickStore:
    """The latest of every market. What it returns never changes; any thread may ask."""

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._lock = threading.Lock()
        # Guarded by _lock where they are written; a single look-up needs no lock.
        self._tops: dict[Market, Top] = {}
        self._trades: dict[Market, Trade] = {}
        self._names = SymbolNames()

    def listen(self) -> None:
        """Keep what the bus publishes from now on, in the publisher's thread: it is quick."""
        self._events.attach(L2Update, self._on_update)
        self._events.attach(Trade, self._on_trade)
        self._events.attach(SegmentChanged, self._on_segment)

    def top(self, symbol: str, exchange: str | None = None) -> Top | None:
        """Return the latest best bid and ask; None before the first.

        The symbol may be written in any case or form. Raises AmbiguousSymbolError where it means several.
        """
        market = self._find(symbol, exchange)
        return None if market is None else self._tops.get(market)

    def trade(self, symbol: str, exchange: str | None = None) -> Trade | None:
        """Return the latest trade; None before the first."""
        market = self._find(symbol, exchange)
        return None if market is None else self._trades.get(market)

    def tick(self, symbol: str, exchange: str | None = None) -> Tick:
        """Return the latest top and trade, of one moment."""
        market = self._find(symbol, exchange)
        if market is None:
            return Tick()
        with self._lock:
            return Tick(self._tops.get(market), self._trades.get(market))

    def snapshot(self) -> dict[Market, Tick]:
        """Return a copy of everything, by (exchange, symbol), all of one moment."""
        with self._lock:
            markets = [*self._tops, *(market for market in self._trades if market not in self._tops)]
            return {market: Tick(self._tops.get(market), self._trades.get(market)) for market in markets}

    def subscribe(
        self,
        handler: Callable[[Top | Trade], None],
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> Callable[[], None]:
        """Call a handler with each new top and trade, in a thread of its own. Returns what ends it."""
        return self._events.subscribe((Top, Trade), handler, name=name, most_waiting=most_waiting)

    def _find(self, symbol: str, exchange: str | None) -> Market | None:
        market = exchange, symbol
        if market in self._tops or market in self._trades:
            return market
        return self._names.find(symbol, exchange)

    def _on_update(self, update: L2Update) -> None:
        top = Top(
            update.exchange,
            update.symbol,
            update.channel,
            update.bid_price_1,
            update.bid_size_1,
            update.ask_price_1,
            update.ask_size_1,
            update.exchange_ms,
            update.received_at_ns,
        )
        self._keep_top(top)

    def _on_segment(self, event: SegmentChanged) -> None:
        last = self._tops.get((event.exchange, event.symbol))
        if not event.verified and last is not None and last.live and last.channel == event.channel:
            self._keep_top(msgspec.structs.replace(last, live=False))

    def _keep_top(self, top: Top) -> None:
        market = top.exchange, top.symbol
        with self._lock:
            if market not in self._tops and market not in self._trades:
                self._names.add(market)
            self._tops[market] = top
        self._events.publish(top)

    def _on_trade(self, trade: Trade) -> None:
        market = trade.exchange, trade.symbol
        with self._lock:
            if market not in self._tops and market not in self._trades:
                self._names.add(market)
            self._trades[market] = trade
