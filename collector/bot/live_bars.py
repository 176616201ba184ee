"""Build bars of any interval from trades as they come."""

import inspect
import math
import re
import time
from collections.abc import Awaitable, Callable

from collector.bot.symbol_names import Market, is_called
from collector.errors import UserError
from collector.events import (
    TRADE,
    UNIT_MS,
    Candle,
    Coroutines,
    EventBus,
    Loop,
    SegmentChanged,
    Subscription,
    Trade,
    handler_here,
    running_loop,
)

MONDAY_MS = 4 * 86_400_000  # the epoch began on a Thursday; weeks begin on Monday
MOST_WAITING = 100_000  # trades; a bar that missed one says so
GRACE_S = 0.5  # how long after its end a bar waits for its last trades, at least
LAGS_WAITED = 2.0  # and twice as long as trades come behind the exchange's clock, by ours
MOST_LAG_S = 30.0  # beyond, a trade is of the past: some are sent at a subscription
LAG_DECAY = 0.05  # of what a lag was longer than that of the next trade

MOMENTS = ("open", "change", "close", "correction")

Listener = Callable[["Bar"], object]  # an `async def` is one too


class Bar(Candle, frozen=True, gc=False, kw_only=True):
    """A bar built of trades. `complete`: every trade of its interval was seen."""

    complete: bool


class _Building:
    """A bar that is not over."""

    __slots__ = (
        "close",
        "complete",
        "count",
        "dropped",
        "first_ms",
        "high",
        "last",
        "last_ms",
        "low",
        "open",
        "open_ms",
        "value",
        "volume",
    )

    def __init__(self, trade: Trade, at_ms: int, open_ms: int, *, complete: bool, dropped: int) -> None:
        self.open_ms = open_ms
        self.first_ms = self.last_ms = at_ms
        self.open = self.high = self.low = trade.price
        self.volume = self.value = 0.0
        self.count = 0
        self.complete = complete
        self.dropped = dropped  # trades lost on the way here when it began
        self.add(trade, at_ms)

    def add(self, trade: Trade, at_ms: int) -> None:
        self.high = max(self.high, trade.price)
        self.low = min(self.low, trade.price)
        if at_ms >= self.last_ms:
            self.close, self.last, self.last_ms = trade.price, trade, at_ms
        elif at_ms < self.first_ms:
            self.open, self.first_ms = trade.price, at_ms
        self.volume += trade.size
        self.value += trade.price * trade.size
        self.count += 1


class LiveBars:
    """Bars of one interval, of every market whose trades come in, or of one.

    Listeners are called in one thread, which is not the websocket's: at a bar's first trade (`on_open`), at
    every trade (`on_change`) and when it is over (`on_close`): at a trade of a later interval, or half a
    second after its time is up, longer where trades come later than that. A trade that comes later still is
    added to the last bar that is over, which is told again (`on_correction`); one of an earlier bar makes
    the next incomplete. An interval without a trade has no bar. Trades that are no market trades (`marked`)
    count in none. One listener that raises harms no other.
    """

    def __init__(
        self,
        interval: str,
        *,
        symbol: str | None = None,
        exchange: str | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.interval = interval
        self.interval_ms = interval_ms(interval)
        self.late = 0  # trades of bars that were over
        self.listener_failures = 0
        self._symbol = symbol
        self._exchange = exchange
        self._now_s = now_s
        self._listeners: dict[str, list[tuple[Listener, Loop | None]]] = {moment: [] for moment in MOMENTS}
        self._lag_s: dict[Market, float] = {}  # of trades behind the exchange's clock, by ours
        self._building: dict[Market, _Building] = {}
        self._closed: dict[Market, _Building] = {}  # the last bar that is over
        self._doubted: dict[Market, bool] = {}  # trades of the bar to come may have been missed
        self._current: dict[Market, Bar] = {}
        self._dropped: Callable[[], int] = lambda: 0

    def on_open(self, listener: Listener) -> None:
        """Call a listener at the first trade of a bar."""
        self._listeners["open"].append((listener, running_loop()))

    def on_change(self, listener: Listener) -> None:
        """Call a listener at every trade of a bar."""
        self._listeners["change"].append((listener, running_loop()))

    def on_close(self, listener: Listener) -> None:
        """Call a listener when a bar is over."""
        self._listeners["close"].append((listener, running_loop()))

    def on_correction(self, listener: Listener) -> None:
        """Call a listener with the last bar that is over, as it is with a trade that came too late for it."""
        self._listeners["correction"].append((listener, running_loop()))

    def listen(self, events: EventBus, *, most_waiting: int = MOST_WAITING) -> Subscription:
        """Build bars of the bus's trades, in a thread of its own. Returns a function that ends it."""
        name = f"bars {self.interval}"
        subscription = events.subscribe(
            (Trade, SegmentChanged), self.take, name=name, most_waiting=most_waiting, alarm=self
        )
        self._dropped = lambda: subscription.delivery().dropped
        return subscription

    def bar(self, exchange: str, symbol: str) -> Bar | None:
        """Return the bar of a market that is being built."""
        return self._current.get((exchange, symbol))

    def take(self, event: Trade | SegmentChanged) -> None:
        """Add a trade, or handle the beginning or end of a stream of trades."""
        if isinstance(event, SegmentChanged):
            self._on_segment(event)
            return
        if event.marked is None and self._wanted(event.exchange, event.symbol):
            self._on_trade((event.exchange, event.symbol), event)
        self._end_until(event.received_at_ns / 1e9)  # more may wait that was received before now

    def due_in_s(self) -> float | None:
        """Return the time until the next bar is over."""
        if not self._building:
            return None
        due_s = min(self._due_s(market, building) for market, building in self._building.items())
        return max(0.0, due_s - self._now_s())

    def ring(self) -> None:
        """End the bars whose time is up. Call it when no trade waits."""
        self._end_until(self._now_s())

    def _end_until(self, now_s: float) -> None:
        for market, building in list(self._building.items()):
            if self._due_s(market, building) <= now_s:
                self._close(market)

    def _due_s(self, market: Market, building: _Building) -> float:
        end_s = (building.open_ms + self.interval_ms) / 1000
        return end_s + max(GRACE_S, LAGS_WAITED * self._lag_s.get(market, 0.0))

    def _measure_lag(self, market: Market, trade: Trade, at_ms: int) -> None:
        """Follow how far trades come behind: up at once, down slowly."""
        lag_s = trade.received_at_ns / 1e9 - at_ms / 1e3
        if lag_s <= MOST_LAG_S:
            before_s = self._lag_s.get(market, lag_s)
            self._lag_s[market] = max(lag_s, before_s - LAG_DECAY * (before_s - lag_s))

    def _on_trade(self, market: Market, trade: Trade) -> None:
        at_ms = trade.received_at_ns // 1_000_000 if trade.exchange_ms is None else trade.exchange_ms
        open_ms = start_of(at_ms, self.interval_ms)
        self._measure_lag(market, trade, at_ms)
        building, closed = self._building.get(market), self._closed.get(market)
        over_ms = -math.inf if closed is None else closed.open_ms + self.interval_ms
        if open_ms < (over_ms if building is None else building.open_ms):
            self._on_late(market, trade, at_ms)
        elif building is not None and building.open_ms == open_ms:
            building.add(trade, at_ms)
            self._changed(market, building)
        else:
            self._close(market)
            # Of the interval in which trades began to come in, the first ones were perhaps not seen.
            complete = market in self._closed and not self._doubted.pop(market, False)
            building = _Building(trade, at_ms, open_ms, complete=complete, dropped=self._dropped())
            self._building[market] = building
            self._call("open", self._bar(market, building, confirmed=False))
            self._changed(market, building)

    def _on_late(self, market: Market, trade: Trade, at_ms: int) -> None:
        """Correct the last bar that is over; where it is not that one's trade, say that one was missed."""
        self.late += 1
        closed = self._closed.get(market)
        if closed is not None and 0 <= at_ms - closed.open_ms < self.interval_ms:
            closed.add(trade, at_ms)
            self._call("correction", self._bar(market, closed, confirmed=True))
        else:
            self._doubt(market)

    def _changed(self, market: Market, building: _Building) -> None:
        bar = self._current[market] = self._bar(market, building, confirmed=False)
        self._call("change", bar)

    def _on_segment(self, event: SegmentChanged) -> None:
        market = event.exchange, event.symbol
        if event.channel == TRADE and not event.verified and self._wanted(*market):
            self._doubted[market] = True
            if market in self._building:
                self._building[market].complete = False

    def _doubt(self, market: Market) -> None:
        """Let the bar that is being built, or the next, say that a trade was missed."""
        building = self._building.get(market)
        if building is None:
            self._doubted[market] = True
        else:
            building.complete = False

    def _close(self, market: Market) -> None:
        building = self._building.pop(market, None)
        if building is not None:
            building.complete &= building.dropped == self._dropped()
            self._closed[market] = building
            self._current.pop(market, None)
            self._call("close", self._bar(market, building, confirmed=True))

    def _call(self, moment: str, bar: Bar) -> None:
        for listener, loop in self._listeners[moment]:
            try:
                result = listener(bar)
                if inspect.isawaitable(result):
                    _finish(result, loop)
            except (Exception, SystemExit) as error:  # noqa: BLE001  (a listener's own affair)
                self.listener_failures += 1
                here = handler_here()
                if here is not None:
                    here.tell(f"bars {self.interval} on_{moment}", bar, error, self.listener_failures)

    def _bar(self, market: Market, building: _Building, *, confirmed: bool) -> Bar:
        exchange, symbol = market
        return Bar(
            exchange=exchange,
            symbol=symbol,
            exchange_ms=building.last.exchange_ms,
            received_at_ns=building.last.received_at_ns,
            interval=self.interval,
            open_ms=building.open_ms,
            open=building.open,
            high=building.high,
            low=building.low,
            close=building.close,
            volume=building.volume,
            confirmed=confirmed,
            vwap=building.value / building.volume if building.volume else None,
            count=building.count,
            complete=building.complete,
        )

    def _wanted(self, exchange: str, symbol: str) -> bool:
        named = self._symbol is None or is_called(symbol, self._symbol)
        return named and self._exchange in (None, exchange)


def _finish(awaitable: Awaitable[object], loop: Loop | None) -> None:
    """Run what an async listener returned to its end, as the thread that calls it does for handlers."""
    here = handler_here()
    if here is not None:
        here.finish(awaitable, loop)
        return
    coroutines = Coroutines("bars", loop)
    try:
        coroutines.finish(awaitable)
    finally:
        coroutines.close()


def interval_ms(interval: str) -> int:
    """Read an interval such as 250ms, 1s, 15m, 4h, 1d, 1w."""
    found = re.fullmatch(r"([1-9]\d{0,8})(ms|s|m|h|d|w)", str(interval))
    if found is None:
        raise UserError(
            f"interval is {interval!r}; expected a number and a unit of {', '.join(UNIT_MS)}: 1s, 15m"
        )
    return int(found[1]) * UNIT_MS[found[2]]


def start_of(at_ms: int, length_ms: int) -> int:
    """Return when the interval that holds an instant began; weeks begin on Monday."""
    offset = MONDAY_MS if length_ms % UNIT_MS["w"] == 0 else 0
    return (at_ms - offset) // length_ms * length_ms + offset
