"""The trades and bars of before the start.

They are made up minute by minute, only when asked for, so that they end at the price where the live market
begins.
"""

import random
from functools import lru_cache
from typing import NamedTuple

from collector.simulator.market.bars import MINUTE_MS, Bar, empty_bar

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
