"""What really happened, to hold a database against: every state, trade, bar, message and fault."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

from collector.errors import UserError
from collector.simulator.market.aggregates import aggregate_position_at, aggregates_since
from collector.simulator.market.bars import INTERVALS_MS, Bar
from collector.simulator.market.market import Market
from collector.simulator.market.outages import Outage
from collector.simulator.market.past import PastTrade
from collector.simulator.market.record import Columns
from collector.simulator.market.rest_history import bars_between, bars_from, position_at, trades_since
from collector.simulator.market.symbol_feed import SymbolFeed
from collector.simulator.send_log import Logged, SendLog

Kind = Literal["snapshot", "delta", "trade", "bar", "ticker"]
KINDS: tuple[Kind, ...] = ("snapshot", "delta", "trade", "bar", "ticker")
_NO_SEQUENCE = -(1 << 63)


@dataclass(frozen=True, slots=True)
class BookState:
    """The best levels after one update, best first, as (price, size)."""

    sequence: int | None
    exchange_ms: int
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class TradeState:
    """One trade; `side` is the taker's."""

    trade_id: str
    exchange_ms: int
    price: float
    size: float
    side: Literal["buy", "sell"]


@dataclass(frozen=True, slots=True)
class AggregateState:
    """One aggregate, with an id of its own, and the ids of its first and last trade."""

    first_id: int
    last_id: int
    trade: TradeState


@dataclass(frozen=True, slots=True)
class BarState:
    """One bar; `confirmed` once its time is over on the exchange's clock."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    count: int
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """One message on one connection. `sequence` of trades is the last trade's id, of bars the open time."""

    connection: int
    sequence: int | None
    kind: Kind
    sent_ns: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, when it took effect and where."""

    name: str
    at_ns: int
    exchange: str | None = None
    symbol: str | None = None
    channel: str | None = None
    connection: int | None = None
    detail: str = ""


class Books(Sequence[BookState]):
    """The published states of one book channel, in order; made again from the seed as they are read.

    Reading from front to back costs some 50 us a state, one state at random up to a quarter of a second.
    Of each side they hold the depth of the channel, or fewer `levels`.
    """

    def __init__(self, feed: SymbolFeed, channel: str, levels: int | None = None) -> None:
        self._feed = feed
        self._touch_only = channel in {"bbo", "book.1"}
        depth = 1 if self._touch_only else int(channel.removeprefix("book."))
        self._levels = depth if levels is None else min(levels, depth)
        self._numbering = feed.numbering("bbo" if self._touch_only else channel)
        self._times = feed.times.frozen()
        touches = feed.touches.frozen()
        self._first_touch = touches.first
        self._steps: Sequence[int] = (
            touches.column(0)
            if self._touch_only
            else range(self._times.first, self._times.first + len(self._times))
        )

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[BookState]:
        return self._read(range(len(self._steps)))

    @overload
    def __getitem__(self, index: int) -> BookState: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[BookState]: ...
    def __getitem__(self, index: int | slice) -> BookState | Sequence[BookState]:
        if isinstance(index, slice):
            picked = range(len(self._steps))[index]
            if picked.step < 0:
                return list(self._read(picked[::-1]))[::-1]
            return list(self._read(picked))
        at = range(len(self._steps))[index]
        return next(self._read(range(at, at + 1)))

    def _read(self, picked: range) -> Iterator[BookState]:
        if not picked:
            return
        states = self._feed.replay(self._steps[picked[0]])
        for index in picked:
            wanted = self._steps[index]
            market = next(market for step, market in states if step == wanted)
            yield self._state(index, wanted, market)

    def _state(self, index: int, step: int, market: Market) -> BookState:
        instrument = self._feed.instrument
        counted = instrument.conventions.sequence
        sequence = None
        if counted == "event":
            sequence = self._feed.update_id(step, market.event)
        elif counted == "message":
            sequence = self._numbering.at(index + self._first_touch if self._touch_only else step)
        return BookState(
            sequence,
            self._times.column(0)[step - self._times.first],
            instrument.levels(market.bids.top(self._levels)),
            instrument.levels(market.asks.top(self._levels)),
        )


class Truth:
    """All that the simulator knows and a collector should find out."""

    def __init__(
        self,
        feeds: dict[tuple[str, str], SymbolFeed],
        lock: threading.RLock,
        remember: int,
        stream_channel: Callable[[str, str], str],
    ) -> None:
        self._feeds = feeds
        self._lock = lock
        self._remember = remember
        self._stream_channel = stream_channel
        self._sent: dict[tuple[str, str, str], Columns] = {}
        self._faults: list[Fault] = []
        self.log: SendLog | None = None

    def books(
        self, exchange: str, symbol: str, channel: str, *, levels: int | None = None
    ) -> Sequence[BookState]:
        """Return every published state of `book.N` or `bbo`, whether or not anybody was subscribed.

        With `levels`, so many of each side are made: it is faster for who compares the best ones.
        """
        with self._lock:
            feed = self._feed(exchange, symbol)
            return Books(feed, channel, levels)

    def trades(self, exchange: str, symbol: str, channel: str = "trade") -> Sequence[TradeState]:
        """Return every trade since the start."""
        del channel
        with self._lock:
            feed = self._feed(exchange, symbol)
            rows = feed.trades.frozen()
        return [
            _trade(feed, PastTrade(feed.trade_ids.at(rows.first + at), at_ms, ticks, lots, buys=bool(buys)))
            for at, (at_ms, ticks, lots, buys, _) in enumerate(rows)
        ]

    def trades_between(self, exchange: str, symbol: str, start_ms: int, end_ms: int) -> Sequence[TradeState]:
        """Return every trade of [start, end), of before the start too; all have an id of their own."""
        with self._lock:
            feed = self._feed(exchange, symbol)
            first, end = position_at(feed, start_ms), position_at(feed, end_ms)
            return [_trade(feed, each) for each in trades_since(feed, first, end - first)]

    def aggregates_between(
        self, exchange: str, symbol: str, start_ms: int, end_ms: int
    ) -> Sequence[AggregateState]:
        """Return every aggregate of [start, end), of before the start too."""
        with self._lock:
            feed = self._feed(exchange, symbol)
            first, end = aggregate_position_at(feed, start_ms), aggregate_position_at(feed, end_ms)
            rows = list(aggregates_since(feed, first, end - first))
        return [
            AggregateState(
                each.first, each.last, _trade(feed, PastTrade(each.number, *each[3:]), is_named=False)
            )
            for each in rows
        ]

    def bars_between(
        self, exchange: str, symbol: str, channel: str, start_ms: int, end_ms: int
    ) -> Sequence[BarState]:
        """Return every bar that opens in [start, end), of before the start too, as REST has them.

        Of a longer stretch than some days ask piece by piece: each minute is made anew.
        """
        with self._lock:
            feed = self._feed(exchange, symbol)
            interval_ms = INTERVALS_MS[channel.removeprefix("ohlcv.")]
            bars = list(bars_from(feed, interval_ms, start_ms, end_ms - 1))
            return [_bar(feed, bar, feed.now_ms) for bar in bars]

    def outages(self, exchange: str, symbol: str) -> Sequence[Outage]:
        """Return the stretches of the past in which nobody traded."""
        with self._lock:
            return tuple(self._feed(exchange, symbol).history.quiet.outages)

    def bars(self, exchange: str, symbol: str, channel: str = "ohlcv.1m") -> Sequence[BarState]:
        """Return every bar from that of the start on, also those without a trade; the last is unconfirmed.

        A bar longer than a minute that holds the start includes the made-up past, as the exchange would.
        On Kraken, which publishes no bar without a trade, those with `count` 0 were never sent.
        """
        with self._lock:
            feed = self._feed(exchange, symbol)
            interval_ms = INTERVALS_MS[channel.removeprefix("ohlcv.")]
            bars = bars_between(feed, interval_ms, feed.start_ms, feed.now_ms)
            return [_bar(feed, bar, feed.now_ms) for bar in bars]

    def sent(self, exchange: str, symbol: str, channel: str) -> Sequence[Sent]:
        """Return every message of a channel on any wire, in order; Binance has one channel for all depths."""
        with self._lock:
            columns = self._sent.get((exchange, symbol, self._stream_channel(exchange, channel)))
            rows = columns.frozen() if columns else ()
        return [
            Sent(connection, None if sequence == _NO_SEQUENCE else sequence, KINDS[kind], sent_ns)
            for connection, sequence, kind, sent_ns in rows
        ]

    def faults(self) -> Sequence[Fault]:
        """Return every fault, in order."""
        with self._lock:
            return tuple(self._faults)

    def note_sent(
        self, stream: tuple[str, str, str], connection: int, sequence: int | None, kind: Kind, sent_ns: int
    ) -> None:
        """Record a message; called where it is written."""
        columns = self._sent.get(stream)
        if columns is None:
            columns = self._sent.setdefault(stream, Columns("qqbq", self._remember))
        columns.append(connection, _NO_SEQUENCE if sequence is None else sequence, KINDS.index(kind), sent_ns)

    def note_fault(
        self,
        name: str,
        exchange: str | None = None,
        symbol: str | None = None,
        channel: str | None = None,
        *,
        connection: int | None = None,
        detail: str = "",
    ) -> None:
        """Record a fault; called where it takes effect."""
        with self._lock:
            fault = Fault(name, time.time_ns(), exchange, symbol, channel, connection, detail)
            self._faults.append(fault)
            if self.log is not None:
                told = f"{name} {detail}".strip()
                self.log.note(
                    Logged(fault.at_ns, "fault", exchange, connection, symbol, channel, detail=told)
                )

    def _feed(self, exchange: str, symbol: str) -> SymbolFeed:
        if (exchange, symbol) not in self._feeds:
            raise UserError(f"no simulated market is {symbol} on {exchange}")
        feed = self._feeds[exchange, symbol]
        feed.catch_up()
        return feed


def _trade(feed: SymbolFeed, trade: PastTrade, *, is_named: bool = True) -> TradeState:
    of = feed.instrument
    number = of.trade_id(trade.number) if is_named else str(trade.number)
    side: Literal["buy", "sell"] = "buy" if trade.buys else "sell"
    return TradeState(number, trade.at_ms, of.price(trade.ticks), of.size(trade.lots), side)


def _bar(feed: SymbolFeed, bar: Bar, now_ms: int) -> BarState:
    of = feed.instrument
    return BarState(
        bar.open_ms,
        of.price(bar.open),
        of.price(bar.high),
        of.price(bar.low),
        of.price(bar.close),
        of.size(bar.lots),
        bar.count,
        confirmed=bar.end_ms <= now_ms,
    )
