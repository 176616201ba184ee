"""Define what a bot gets of a market: states of a verified book, trades, bars.

Made by the websocket thread when somebody listens (`EventBus.wanted`), hence structs that the garbage
collector need not walk. A feature is computed when it is read, in the reader's thread, by the formula of
docs/features.md: bit for bit what the hot table holds, and None where the table has NULL.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

import msgspec

from collector.events.messages import Side

Level = tuple[float, float]  # price, size

TOTAL_LEVELS = 10
BASIS_POINTS = 10_000.0

next_id = count(time.time_ns()).__next__  # grows within a process, and from one start of it to the next


def utc(at_ns: int) -> datetime:
    """Return an instant, UTC, to the microsecond."""
    seconds, ns = divmod(at_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ns // 1000)


class MarketEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What all of them have: the market, the exchange's time and the time of receipt."""

    exchange: str
    symbol: str
    exchange_ms: int | None
    received_at_ns: int
    id: int = msgspec.field(default_factory=next_id)

    @property
    def received_at(self) -> datetime:
        """Return the instant of receipt, UTC, to the microsecond."""
        return utc(self.received_at_ns)

    @property
    def exchange_time(self) -> datetime | None:
        """Return the exchange's own time of it, UTC; None where none was sent."""
        if self.exchange_ms is None:
            return None
        return utc(self.exchange_ms * 1_000_000)


class Trade(MarketEvent, frozen=True, gc=False, kw_only=True):
    """A trade; `side` is the taker's, `marked` names one that is no market trade."""

    trade_id: str
    price: float
    size: float
    side: Side
    kind: str = "trade"
    marked: str | None = None


class Candle(MarketEvent, frozen=True, gc=False, kw_only=True):
    """A bar, or the state of one that is not over; `confirmed` when the exchange said that it is."""

    interval: str
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    confirmed: bool
    vwap: float | None = None
    count: int | None = None


class L2Update(MarketEvent, frozen=True, gc=False, kw_only=True):
    """One state of a verified book. `bids` and `asks` are its best levels, the best first."""

    channel: str
    sequence: int | None
    segment_id: int | None  # the coverage segment that the row of it stands in; None when it is not stored
    shown: int  # levels a side that `bids` and `asks` give
    ten_known: bool  # the exchange has shown the best ten levels, or all where there are fewer
    numbers: tuple[float, ...]  # as OrderBook.top returns them; NaN where a side has no such level
    before: Sequence[float] | None = None  # the same of the state before in this segment

    @property
    def bids(self) -> tuple[Level, ...]:
        """The best bids as (price, size), the highest first."""
        return self._side(0)

    @property
    def asks(self) -> tuple[Level, ...]:
        """The best asks as (price, size), the lowest first."""
        return self._side(2)

    @property
    def bid_price_1(self) -> float | None:
        """The best bid."""
        return _or_none(self.numbers[0])

    @property
    def bid_size_1(self) -> float | None:
        """The size at the best bid."""
        return _or_none(self.numbers[len(self.numbers) // 4])

    @property
    def ask_price_1(self) -> float | None:
        """The best ask."""
        return _or_none(self.numbers[len(self.numbers) // 2])

    @property
    def ask_size_1(self) -> float | None:
        """The size at the best ask."""
        return _or_none(self.numbers[len(self.numbers) // 4 * 3])

    @property
    def best_bid(self) -> float | None:
        """The price of the best bid."""
        return self.bid_price_1

    @property
    def best_ask(self) -> float | None:
        """The price of the best ask."""
        return self.ask_price_1

    @property
    def mid_price(self) -> float | None:
        """The middle of best bid and best ask."""
        bid, _, ask, _ = _touch(self.numbers)
        return _or_none((bid + ask) / 2.0)

    @property
    def spread(self) -> float | None:
        """The best ask less the best bid."""
        bid, _, ask, _ = _touch(self.numbers)
        return _or_none(ask - bid)

    @property
    def spread_bps(self) -> float | None:
        """The spread in basis points of the middle."""
        bid, _, ask, _ = _touch(self.numbers)
        return _or_none((ask - bid) / ((bid + ask) / 2.0) * BASIS_POINTS)

    @property
    def microprice(self) -> float | None:
        """The middle, weighed by the size on the other side."""
        bid, bid_size, ask, ask_size = _touch(self.numbers)
        return _or_none((bid * ask_size + ask * bid_size) / (bid_size + ask_size))

    @property
    def total_bid_volume_10(self) -> float | None:
        """The sizes of the best ten bids together; None when they are not all known."""
        return self._total(1)

    @property
    def total_ask_volume_10(self) -> float | None:
        """The sizes of the best ten asks together; None when they are not all known."""
        return self._total(3)

    @property
    def order_book_imbalance(self) -> float | None:
        """How much more is bid than asked within the best ten levels: from -1 to 1."""
        bid, ask = self._total(1), self._total(3)
        if bid is None or ask is None or not bid + ask > 0.0:
            return None
        return (bid - ask) / (bid + ask)

    @property
    def ofi(self) -> float | None:
        """The order-flow imbalance against the update before; None for the first of a segment."""
        if self.before is None:
            return None
        bid_before, bid_size_before, ask_before, ask_size_before = before = _touch(self.before)
        bid, bid_size, ask, ask_size = now = _touch(self.numbers)
        if any(number != number for number in before + now):  # noqa: PLR0124  (NaN: an empty side)
            return None
        bid_came = bid_size if bid >= bid_before else 0.0
        bid_went = bid_size_before if bid <= bid_before else 0.0
        ask_came = ask_size if ask <= ask_before else 0.0
        ask_went = ask_size_before if ask >= ask_before else 0.0
        return bid_came - bid_went - ask_came + ask_went

    def _side(self, quarter: int) -> tuple[Level, ...]:
        levels = len(self.numbers) // 4
        first = quarter * levels
        prices = self.numbers[first : first + min(levels, self.shown)]
        sizes = self.numbers[first + levels : first + levels + len(prices)]
        return tuple(level for level in zip(prices, sizes, strict=True) if level[0] == level[0])  # not NaN

    def _total(self, quarter: int) -> float | None:
        """Add up sizes one by one, the best first: `sum` rounds differently from Python 3.12 on."""
        if not self.ten_known:
            return None
        levels = len(self.numbers) // 4
        total = 0.0
        for size in self.numbers[quarter * levels : quarter * levels + min(levels, TOTAL_LEVELS)]:
            if size == size:  # noqa: PLR0124  (NaN: no such level)
                total = total + size
        return total


def _touch(numbers: Sequence[float]) -> tuple[float, float, float, float]:
    """Return best bid, its size, best ask, its size; NaN where a side is empty."""
    levels = len(numbers) // 4
    return numbers[0], numbers[levels], numbers[2 * levels], numbers[3 * levels]


def _or_none(number: float) -> float | None:
    return number if number == number else None  # noqa: PLR0124  (NaN is the one that is not)
