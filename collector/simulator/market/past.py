"""The trades and bars of before the start, however many, made up only when somebody asks for them.

Each minute is made from the seed and from how long before the start it lies, alone: a past of years costs
nothing. The price is a random walk whose steps are halved again and again (Lévy's construction), so that any
moment of it is found without the others; it ends at the price where the live market begins.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, shake_128
from math import exp, sqrt
from typing import NamedTuple

from collector.errors import UserError
from collector.simulator.market.bars import MINUTE_MS, Bar, empty_bar
from collector.simulator.market.outages import BarsInOutages, Outage, Quiet

MINUTES_A_DAY = 24 * 60
HISTORY_DAYS, TRADES_A_MINUTE = 2.0, 12
# The price moves by so much a minute, one standard deviation.
_STEP = 1 / 4000
# The walk is this many minutes long (16 years), so that its minutes are the same whatever is shown of it.
_WALK_MINUTES = 1 << 23
_DRAWS_A_STEP = struct.Struct("<HHHH")
_ONE = 1 << 16
# Each fourth trade fills the rest of the order before it: one time, one price, one aggregate.
_ORDER = 4


@dataclass(frozen=True, slots=True)
class PastPlan:
    """How long the past is, how busy it was, and when nobody traded."""

    days: float = HISTORY_DAYS
    trades_a_minute: int = TRADES_A_MINUTE
    outages: tuple[Outage, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.days * MINUTES_A_DAY < _WALK_MINUTES:
            most = _WALK_MINUTES // MINUTES_A_DAY
            raise UserError(f"a past of {self.days} days: above 0 and below {most} expected")
        if self.trades_a_minute < 1:
            raise UserError(f"{self.trades_a_minute} trades a minute of the past: at least 1 expected")


class PastTrade(NamedTuple):
    """One trade, of before the start or since."""

    number: int
    at_ms: int
    ticks: int
    lots: int
    buys: bool


class History:
    """The made-up time before the start. Positions count its trades from 0, groups its aggregates."""

    def __init__(
        self,
        seed: str,
        plan: PastPlan,
        *,
        start_ms: int,
        start_ticks: int,
        typical_lots: int,
        first_trade: int,
        outages: tuple[Outage, ...] = (),
        bars_in_outages: BarsInOutages = "flat",
    ) -> None:
        self.minutes = max(1, round(plan.days * MINUTES_A_DAY))
        self.end_ms = start_ms - start_ms % MINUTE_MS
        self.begin_ms = self.end_ms - self.minutes * MINUTE_MS
        self.quiet = Quiet(outages, self.begin_ms, self.end_ms)
        self.a_minute = plan.trades_a_minute
        self.groups_a_minute = self.a_minute - self.a_minute // _ORDER
        traded = self.minutes - self.quiet.minutes
        self.trade_count = traded * self.a_minute
        self.group_count = traded * self.groups_a_minute
        self.first_number = first_trade - self.trade_count - self.quiet.lost_ids
        if self.first_number <= first_trade // 2:
            raise UserError(f"{self.trade_count} trades of the past: fewer expected, their ids end at 0")
        self._seed = seed
        self._start_ticks = start_ticks
        self._typical_lots = typical_lots
        self._bars_in_outages = bars_in_outages
        self._draws = struct.Struct(f"<{4 * self.a_minute}H")
        self.minute = lru_cache(maxsize=64)(self._minute)
        self.bar = lru_cache(maxsize=2 * MINUTES_A_DAY)(self._bar)
        self._price = lru_cache(maxsize=64)(self._made_price)
        self._displacement = lru_cache(maxsize=4096)(self._made_displacement)

    def trades(self, start: int, end: int) -> Iterator[PastTrade]:
        """Make the trades at positions [start, end)."""
        while start < end:
            traded, within = divmod(start, self.a_minute)
            of_minute = self.minute(self.quiet.minute_of(traded))[within : within + end - start]
            yield from of_minute
            start += len(of_minute)

    def position_at(self, at_ms: int) -> int:
        """Find the position of the first trade not before a time, which lies before the end."""
        minute = max(0, (at_ms - self.begin_ms) // MINUTE_MS)
        position = self.quiet.traded_before(minute) * self.a_minute
        if at_ms <= self.begin_ms or self.quiet.outage_at(minute):
            return position
        return position + bisect_left(self.minute(minute), at_ms, key=lambda trade: trade.at_ms)

    def position_of(self, number: int) -> int:
        """Find the position of an id; of the trade after it, where an outage took the id."""
        return self.quiet.position_of(number - self.first_number, self.a_minute)

    def group_of(self, position: int) -> int:
        """Return which aggregate a trade is in."""
        traded, within = divmod(position, self.a_minute)
        return traded * self.groups_a_minute + within - (within + 1) // _ORDER

    def group(self, group: int) -> tuple[int, int]:
        """Return the positions [first, end) of the trades of an aggregate."""
        traded, within = divmod(group, self.groups_a_minute)
        order, nth = divmod(within, _ORDER - 1)
        first = order * _ORDER + nth
        length = 2 if nth == _ORDER - 2 and first + 1 < self.a_minute else 1
        return traded * self.a_minute + first, traded * self.a_minute + first + length

    @property
    def last_ticks(self) -> int:
        """The price of the last trade: the one at which the live market begins, but for an outage."""
        outage = self.quiet.outage_at(self.minutes - 1)
        return self._start_ticks if outage is None else self._last_ticks(outage)

    def _last_ticks(self, outage: Outage) -> int:
        before = (outage.start_ms - self.begin_ms) // MINUTE_MS - 1
        return self.minute(before)[-1].ticks if before >= 0 else self._price(self.minutes)

    def _bar(self, minute: int) -> Bar | None:
        """Make the bar of one minute; None where the exchange has none, of an outage."""
        open_ms = self.begin_ms + minute * MINUTE_MS
        outage = self.quiet.outage_at(minute)
        if outage is not None:
            if (outage.bars or self._bars_in_outages) == "missing":
                return None
            return empty_bar(open_ms, MINUTE_MS, self._last_ticks(outage))
        bar = empty_bar(open_ms, MINUTE_MS, 0)
        for number, _, ticks, lots, buys in self.minute(minute):
            bar.add(ticks, lots, number, buys=buys)
        return bar

    def _minute(self, minute: int) -> tuple[PastTrade, ...]:
        ago, count = self.minutes - minute, self.a_minute
        traded = self.quiet.traded_before(minute)
        number = self.first_number + traded * count + self.quiet.lost_before(traded)
        begin_ms, opens = self.begin_ms + minute * MINUTE_MS, self._price(ago)
        step = (self._price(ago - 1) - opens) / count
        spread = abs(step) + 3
        digest = shake_128(f"{self._seed}:minute:{ago}".encode()).digest(self._draws.size)
        draws = self._draws.unpack(digest)
        times = sorted(draws[:count])
        trades: list[PastTrade] = []
        for at in range(count):
            noise, size, side = draws[count + 3 * at : count + 3 * at + 3]
            lots = 1 + int(self._typical_lots * (size / _ONE) ** 3)
            if at % _ORDER == _ORDER - 1:
                last = trades[-1]
                trades.append(PastTrade(number + at, last.at_ms, last.ticks, lots, last.buys))
                continue
            done = min(count, at + 2 if at % _ORDER == _ORDER - 2 else at + 1)
            # The last order of a minute trades at the price where the next minute begins.
            off = (noise / _ONE - 0.5) * spread if done < count else 0.0
            ticks = max(1, round(opens + step * done + off))
            at_ms = begin_ms + (times[at] * MINUTE_MS >> 16)
            trades.append(PastTrade(number + at, at_ms, ticks, lots, side < _ONE // 2))
        return tuple(trades)

    def _made_price(self, ago: int) -> int:
        """Find the price so many minutes before the end."""
        low, high, low_value, high_value = 0, _WALK_MINUTES, 0.0, self._displacement(_WALK_MINUTES)
        while low < ago < high:
            middle = (low + high) // 2
            value = (low_value + high_value) / 2 + self._displacement(middle)
            if ago < middle:
                high, high_value = middle, value
            else:
                low, low_value = middle, value
        return max(1, round(self._start_ticks * exp((low_value if ago == low else high_value) * _STEP)))

    def _made_displacement(self, middle: int) -> float:
        """Draw by how much the walk is off the mean of what is a span before and after one of its minutes."""
        digest = blake2b(f"{self._seed}:walk:{middle}".encode(), digest_size=_DRAWS_A_STEP.size).digest()
        # Four even draws add up to nearly a normal one, of variance 1/3.
        draws: tuple[int, ...] = _DRAWS_A_STEP.unpack(digest)
        normal = (sum(draws) / _ONE - 2) * sqrt(3)
        span = middle & -middle
        return normal * (sqrt(span) if span == _WALK_MINUTES else sqrt(span / 2))
