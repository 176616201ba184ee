"""The stretches of the past in which an exchange did not trade, and how they shift positions and ids."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from collector.errors import UserError
from collector.simulator.market.bars import MINUTE_MS

BarsInOutages = Literal["missing", "flat"]


@dataclass(frozen=True, slots=True)
class Outage:
    """Whole minutes without a trade on an exchange, or on one of its markets only.

    Ids go on after it as if nothing had been, or with a hole of `lost_ids`: of trades that nobody can get.
    """

    exchange: str
    start_ms: int
    end_ms: int
    symbol: str | None = None
    lost_ids: int = 0
    bars: BarsInOutages | None = None  # None: as the exchange has them

    def is_of(self, exchange: str, symbol: str) -> bool:
        """Return whether it befell a market."""
        return self.exchange == exchange and self.symbol in {None, symbol}


class Quiet:
    """The outages of one market, in minutes since its past begins.

    Minutes with trades are counted apart; both counts, and ids, are found from each other by bisection.
    """

    def __init__(self, outages: Sequence[Outage], begin_ms: int, end_ms: int) -> None:
        self.outages = sorted(outages, key=lambda each: each.start_ms)
        for each in self.outages:
            if each.start_ms % MINUTE_MS or each.end_ms % MINUTE_MS or each.start_ms >= each.end_ms:
                raise UserError(f"an outage lasts whole minutes: {each}")
            if each.start_ms < begin_ms or each.end_ms > end_ms:
                raise UserError(f"an outage lies in the past, here from {begin_ms} to {end_ms} ms: {each}")
            if each.lost_ids < 0:
                raise UserError(f"an outage loses no ids or some: {each}")
        if any(first.end_ms > second.start_ms for first, second in pairwise(self.outages)):
            raise UserError(f"outages of one market do not overlap: {self.outages}")
        self._starts = [(each.start_ms - begin_ms) // MINUTE_MS for each in self.outages]
        lengths = [(each.end_ms - each.start_ms) // MINUTE_MS for each in self.outages]
        # The minutes, and the ids, that the first n outages took.
        self._quiet = [0, *accumulate(lengths)]
        self._lost = [0, *accumulate(each.lost_ids for each in self.outages)]
        # How many minutes with trades lie before each outage.
        self._traded_before = [
            start - quiet for start, quiet in zip(self._starts, self._quiet[:-1], strict=True)
        ]

    @property
    def minutes(self) -> int:
        """How many minutes are without trades."""
        return self._quiet[-1]

    @property
    def lost_ids(self) -> int:
        """How many ids no trade has."""
        return self._lost[-1]

    def outage_at(self, minute: int) -> Outage | None:
        """Return the outage that a minute lies in."""
        at = bisect_right(self._starts, minute) - 1
        if at < 0 or minute >= self._starts[at] + self._quiet[at + 1] - self._quiet[at]:
            return None
        return self.outages[at]

    def traded_before(self, minute: int) -> int:
        """Count the minutes with trades before one."""
        at = bisect_left(self._starts, minute)
        if not at:
            return minute
        last = self._quiet[at] - self._quiet[at - 1]
        return minute - self._quiet[at - 1] - min(last, minute - self._starts[at - 1])

    def minute_of(self, traded: int) -> int:
        """Find the n-th minute with trades."""
        return traded + self._quiet[bisect_right(self._traded_before, traded)]

    def lost_before(self, traded: int) -> int:
        """Count the ids lost before the n-th minute with trades."""
        return self._lost[bisect_right(self._traded_before, traded)]

    def position_of(self, number: int, trades_a_minute: int) -> int:
        """Find the position of the trade that has an id, counted from the first, or of the one after it."""
        ends = [
            before * trades_a_minute + lost
            for before, lost in zip(self._traded_before, self._lost[1:], strict=True)
        ]
        at = bisect_right(ends, number)
        position = number - self._lost[at]
        return position if at == len(ends) else min(position, self._traded_before[at] * trades_a_minute)
