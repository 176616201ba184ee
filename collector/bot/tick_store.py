"""Keep the latest tick, trade and top of the book of each market."""

import threading
from collections.abc import Callable
from typing import NamedTuple, cast

import msgspec

from collector.bot.symbol_names import Market, SymbolNames
from collector.bot.tick import Tick
from collector.errors import TickError
from collector.events import (
    MOST_WAITING,
    EventBus,
    HandlerFailure,
    L2Update,
    Loop,
    SegmentChanged,
    Trade,
    is_async,
)
from collector.loggers import get_logger

log = get_logger(__name__)


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


class MarketNow(NamedTuple):
    """The latest top and trade of one market; None for what did not come yet."""

    top: Top | None = None
    trade: Trade | None = None


class TickStore:
    """The latest of every market. What it returns never changes; any thread may call it.

    Alone it holds the ticks given to `update`, and calls its subscribers at once, in the thread of whoever
    gives them. On an event bus (an ingestor's `ticks`) it takes each trade and top there from `listen` on,
    and each subscriber has a thread of its own. A trade that is no market trade (`marked`) is no tick.
    """

    def __init__(self, events: EventBus | None = None) -> None:
        self._is_alone = events is None
        self._events = EventBus(_log_failure) if events is None else events
        self._lock = threading.Lock()
        # Guarded by _lock where they are written; a single look-up needs no lock.
        self._tops: dict[Market, Top] = {}
        self._trades: dict[Market, Trade] = {}
        self._ticks: dict[Market, Tick | Trade] = {}  # the latest of either; the last to come stands last
        self._names = SymbolNames()

    def listen(self) -> None:
        """Keep what the bus publishes from now on, in the publisher's thread: it is quick."""
        self._events.attach(L2Update, self._on_update)
        self._events.attach(Trade, self._on_trade)
        self._events.attach(SegmentChanged, self._on_segment)

    def update(self, tick: Tick) -> None:
        """Keep a tick as the latest of its market, and hand it to the subscribers."""
        if not isinstance(tick, Tick):
            raise TickError(f"found {type(tick).__name__}, expected a Tick; Tick.from_trade makes one")
        self._keep_tick((tick.exchange, tick.symbol), tick)
        self._events.publish(tick)

    def get(self, symbol: str, exchange: str | None = None) -> Tick | None:
        """Return the latest tick of a market; None before the first.

        The symbol may be written in any case or form. Raises AmbiguousSymbolError where it means several.
        """
        market = self._find(symbol, exchange)
        latest = None if market is None else self._ticks.get(market)
        return None if latest is None else _tick_of(latest)

    def get_all(self, exchange: str | None = None) -> dict[str, Tick]:
        """Return a copy of the latest ticks by symbol: the last to come where several exchanges have one."""
        with self._lock:
            found = {
                symbol: last for (where, symbol), last in self._ticks.items() if exchange in (None, where)
            }
        return {symbol: _tick_of(latest) for symbol, latest in found.items()}

    def top(self, symbol: str, exchange: str | None = None) -> Top | None:
        """Return the latest best bid and ask; None before the first."""
        market = self._find(symbol, exchange)
        return None if market is None else self._tops.get(market)

    def trade(self, symbol: str, exchange: str | None = None) -> Trade | None:
        """Return the latest trade; None before the first."""
        market = self._find(symbol, exchange)
        return None if market is None else self._trades.get(market)

    def market_now(self, symbol: str, exchange: str | None = None) -> MarketNow:
        """Return the latest top and trade, of one moment."""
        market = self._find(symbol, exchange)
        if market is None:
            return MarketNow()
        with self._lock:
            return MarketNow(self._tops.get(market), self._trades.get(market))

    def snapshot(self) -> dict[Market, MarketNow]:
        """Return a copy of every market's top and trade, by (exchange, symbol), all of one moment."""
        with self._lock:
            markets = [*self._tops, *(market for market in self._trades if market not in self._tops)]
            return {market: MarketNow(self._tops.get(market), self._trades.get(market)) for market in markets}

    def subscribe(
        self,
        callback: Callable[[Tick], object],
        *,
        name: str | None = None,
        most_waiting: int = MOST_WAITING,
        loop: Loop | None = None,
    ) -> Callable[[], None]:
        """Call a callback, plain or async, with each new tick. Returns a function that ends it.

        One that raises harms no other. An `async def` has a thread of its own in a store alone, too, until it
        is ended, and runs on `loop` or on the one that runs here.
        """
        if self._is_alone and not is_async(callback):
            return self._events.attach(Tick, cast("Callable[[Tick], None]", callback))
        end = self._events.subscribe(Tick, callback, name=name, most_waiting=most_waiting, loop=loop)
        if self._is_alone:
            self._events.start()
        return end

    def _find(self, symbol: str, exchange: str | None) -> Market | None:
        if exchange is not None and self._knows((exchange, symbol)):
            return exchange, symbol
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
            self._know(market)
            self._tops[market] = top
        self._events.publish(top)

    def _on_trade(self, trade: Trade) -> None:
        market = trade.exchange, trade.symbol
        with self._lock:
            self._know(market)
            self._trades[market] = trade
        if trade.marked is None:
            self._keep_tick(market, trade)
            if self._events.wanted(Tick):
                self._events.publish(Tick.from_trade(trade))

    def _keep_tick(self, market: Market, tick: Tick | Trade) -> None:
        with self._lock:
            self._know(market)
            self._ticks.pop(market, None)
            self._ticks[market] = tick

    def _know(self, market: Market) -> None:
        if not self._knows(market):
            self._names.add(market)

    def _knows(self, market: Market) -> bool:
        return market in self._ticks or market in self._tops or market in self._trades


def _tick_of(latest: Tick | Trade) -> Tick:
    return Tick.from_trade(latest) if isinstance(latest, Trade) else latest


def _log_failure(failure: HandlerFailure) -> None:
    log.warning("tick_subscriber.failed", subscriber=failure.subscriber, error=repr(failure.error))
