"""What happened before: trades and bars as a REST request asks for them, from before the start until now.

The time before the start is made up, minute by minute and only when asked for, so that it ends at the
price where the live market begins. Live trades go on with the next id; bars are made of both alike.
"""

import random
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from collector.simulator.market.bars import MINUTE_MS, Bar, empty_bar

if TYPE_CHECKING:
    from collector.simulator.market.symbol_feed import SymbolFeed

TRADES_PER_MINUTE = 12
HISTORY_MINUTES = 2 * 24 * 60


class PastTrade(NamedTuple):
    """One trade, of before the start or since."""

    number: int
    at_ms: int
    ticks: int
    lots: int
    buys: bool


class History:
    """The made-up time before the start."""

    def __init__(
        self, seed: str, start_ms: int, start_ticks: int, typical_lots: int, first_trade: int
    ) -> None:
        self.end_ms = start_ms - start_ms % MINUTE_MS
        self.begin_ms = self.end_ms - HISTORY_MINUTES * MINUTE_MS
        self.first_number = first_trade - HISTORY_MINUTES * TRADES_PER_MINUTE
        self._seed = seed
        self._typical_lots = typical_lots
        self._start_ticks = start_ticks
        self._edges: list[int] = []
        self.minute = lru_cache(maxsize=HISTORY_MINUTES)(self._minute)

    def bar(self, index: int) -> Bar:
        """Make the bar of one minute."""
        bar = empty_bar(self.begin_ms + index * MINUTE_MS, MINUTE_MS, 0)
        for trade in self.minute(index):
            bar.add(trade.ticks, trade.lots, trade.number, buys=trade.buys)
        return bar

    def _minute(self, index: int) -> tuple[PastTrade, ...]:
        draw = random.Random(f"{self._seed}:minute:{index}")  # noqa: S311  (a repeatable past)
        edges = self._prices()
        begin_ms = self.begin_ms + index * MINUTE_MS
        times = sorted(draw.randrange(MINUTE_MS) for _ in range(TRADES_PER_MINUTE))
        step = (edges[index + 1] - edges[index]) / TRADES_PER_MINUTE
        spread = abs(step) + 3
        return tuple(
            PastTrade(
                self.first_number + index * TRADES_PER_MINUTE + at,
                begin_ms + after_ms,
                max(1, round(edges[index] + step * (at + 1) + (draw.random() - 0.5) * spread)),
                1 + int(self._typical_lots * draw.random() ** 3),
                draw.random() < 0.5,  # noqa: PLR2004  (a coin)
            )
            for at, after_ms in enumerate(times)
        )

    def _prices(self) -> list[int]:
        if not self._edges:
            draw = random.Random(f"{self._seed}:past")  # noqa: S311  (a repeatable past)
            edges = [self._start_ticks]
            for _ in range(HISTORY_MINUTES):
                edges.append(
                    max(self._start_ticks // 2, edges[-1] + round(draw.gauss(0, self._start_ticks / 4000)))
                )
            self._edges = edges[::-1]
        return self._edges


def trades_since(feed: "SymbolFeed", index: int, limit: int) -> list[PastTrade]:
    """List trades from a position on, the oldest first; position 0 is the first trade of the past."""
    history, result = feed.history, []
    past = HISTORY_MINUTES * TRADES_PER_MINUTE
    last = min(index + limit, past + len(feed.trades))
    for at in range(max(0, index), last):
        if at < past:
            result.append(history.minute(at // TRADES_PER_MINUTE)[at % TRADES_PER_MINUTE])
        elif at - past >= feed.trades.first:
            at_ms, ticks, lots, buys, _ = feed.trades[at - past]
            result.append(PastTrade(history.first_number + at, at_ms, ticks, lots, bool(buys)))
    return result


def trade_count(feed: "SymbolFeed") -> int:
    """Count the trades of the past and since."""
    return HISTORY_MINUTES * TRADES_PER_MINUTE + len(feed.trades)


def position_at(feed: "SymbolFeed", at_ms: int) -> int:
    """Find the position of the first trade not before a time."""
    history = feed.history
    if at_ms >= history.end_ms:
        return HISTORY_MINUTES * TRADES_PER_MINUTE + feed.trades.find(at_ms)
    minute = max(0, (at_ms - history.begin_ms) // MINUTE_MS)
    times = [trade.at_ms for trade in history.minute(minute)]
    return minute * TRADES_PER_MINUTE + bisect_left(times, at_ms)


def position_of(feed: "SymbolFeed", number: int) -> int:
    """Find the position of a trade id."""
    return number - feed.history.first_number


def bars_between(feed: "SymbolFeed", interval_ms: int, start_ms: int, end_ms: int) -> list[Bar]:
    """List the bars that open within [start, end], the oldest first; the present one is the last there is."""
    history = feed.history
    start_ms = max(start_ms, history.begin_ms) // interval_ms * interval_ms
    first = max(0, (start_ms - history.begin_ms) // MINUTE_MS)
    end_of_last_ms = end_ms // interval_ms * interval_ms + interval_ms
    bars: list[Bar] = []
    for minute in _minutes(feed, first, end_of_last_ms):
        if not bars or minute.open_ms >= bars[-1].end_ms:
            bars.append(empty_bar(minute.open_ms, interval_ms, minute.open))
        bars[-1].merge(minute)
    return bars


def _minutes(feed: "SymbolFeed", first: int, before_ms: int) -> list[Bar]:
    history = feed.history
    past = min(HISTORY_MINUTES, max(0, (before_ms - history.begin_ms + MINUTE_MS - 1) // MINUTE_MS))
    minutes = [history.bar(index) for index in range(first, past)]
    minutes += [bar for bar in feed.minutes[max(0, first - HISTORY_MINUTES) :] if bar.open_ms < before_ms]
    return minutes
