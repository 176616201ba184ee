"""A market made from a seed: levels come, change and go. It knows nothing of the package that it tests.

Prices and sizes are whole numbers of ticks and lots; `fixed` and `short` write them as exchanges do.
"""

from random import Random
from typing import NamedTuple

Levels = dict[int, int]  # ticks: lots
FEWEST = 12  # levels a side: more than any checksum looks at
CHANGE, REMOVE, ADD, SWEEP, FAR, FLICKER, NOTHING = range(7)
WEIGHTS = (35, 18, 22, 5, 10, 6, 4)


class Level(NamedTuple):
    """What stands at a price now; no lots, nothing."""

    side: str
    ticks: int
    lots: int


class Fill(NamedTuple):
    """A trade, and the level that it left behind."""

    taker_buys: bool
    ticks: int
    lots: int
    left: Level


class Top(NamedTuple):
    """The best bid and ask."""

    bid: int
    bid_lots: int
    ask: int
    ask_lots: int


def fixed(units: int, decimals: int) -> str:
    """Write with all decimals: Binance, Kraken, Bybit's futures."""
    whole, part = divmod(units, 10**decimals)
    return f"{whole}.{part:0{decimals}d}" if decimals else str(whole)


def short(units: int, decimals: int) -> str:
    """Write without zeros at the end: Bybit's spot."""
    text = fixed(units, decimals)
    return text.rstrip("0").rstrip(".") if "." in text else text


class Market:
    """A book that changes by steps, never crossed, with more asks than bids."""

    def __init__(self, seed: int, *, middle: int = 268_380, bids: int = 40, most_lots: int = 10**9) -> None:
        self.random = Random(seed)
        self.most_lots = most_lots
        self.fewest = max(FEWEST, bids // 2)
        self.sides: dict[str, Levels] = {"bid": {}, "ask": {}}
        for side, way, count in (("bid", -1, bids), ("ask", 1, bids + bids // 3 + 1)):
            ticks = middle if way > 0 else middle - 1
            while len(self.sides[side]) < count:
                self.sides[side][ticks] = self.lots()
                ticks += way * self.random.choice((1, 1, 2, 3, 7))

    @property
    def top(self) -> Top:
        """Tell the best prices and their sizes."""
        bid, ask = max(self.sides["bid"]), min(self.sides["ask"])
        return Top(bid, self.sides["bid"][bid], ask, self.sides["ask"][ask])

    def best(self, side: str, count: int | None = None) -> list[tuple[int, int]]:
        """List the levels of a side, best first."""
        return sorted(self.sides[side].items(), reverse=side == "bid")[:count]

    def lots(self) -> int:
        """Choose a size: one lot, something, or a great lot of it."""
        return self.random.choice((1, self.random.randint(1, 999), self.random.randint(1, self.most_lots)))

    def step(self) -> list[Level]:
        """Change something; tells every level that was touched, as it stands then. May be none."""
        kind = self.random.choices(range(7), WEIGHTS)[0]
        side = self.random.choice(("bid", "ask"))
        levels, way = self.sides[side], 1 if side == "ask" else -1
        if kind == NOTHING:
            return []
        if kind == FLICKER:  # came and went within the step: removed without ever having been told
            ticks = self._free(side)
            return [Level(side, ticks, levels.get(ticks, 0))]
        if kind == FAR:
            ticks = max(1, self.top.ask + way * self.random.randint(100, 5000))
            is_gone = ticks in levels and len(levels) > self.fewest
            return [self.put(side, ticks, 0 if is_gone else self.lots())]
        if kind == SWEEP:
            return self._sweep(side)
        if kind == ADD or len(levels) <= self.fewest:
            return [self.put(side, self._free(side), self.lots())]
        place = min(int(self.random.expovariate(0.4)), len(levels) - 1)
        ticks = self.best(side)[place][0]
        return [self.put(side, ticks, 0 if kind == REMOVE else self.lots())]

    def trade(self) -> Fill:
        """Let a taker take from the best level of a side, all of it or a part."""
        side = self.random.choice(("bid", "ask"))
        ticks, standing = self.best(side, 1)[0]
        may_go = len(self.sides[side]) > self.fewest and self.random.random() < 0.3
        lots = standing if may_go else self.random.randint(1, max(1, standing - 1))
        left = self.put(side, ticks, max(standing - lots, 0 if may_go else 1))
        return Fill(side == "ask", ticks, lots, left)

    def put(self, side: str, ticks: int, lots: int) -> Level:
        """Set a level, or remove it."""
        if lots:
            self.sides[side][ticks] = lots
        else:
            self.sides[side].pop(ticks, None)
        return Level(side, ticks, lots)

    def _free(self, side: str) -> int:
        """Choose a price near the best of a side that crosses nothing."""
        top = self.top
        offset = self.random.randint(-6, 2)
        ticks = min(top.bid + offset, top.ask - 1) if side == "bid" else max(top.ask - offset, top.bid + 1)
        return max(1, ticks)

    def _sweep(self, side: str) -> list[Level]:
        """Take some of the best levels; the other side moves up behind them."""
        count = min(self.random.randint(2, 5), len(self.sides[side]) - self.fewest)
        touched = [self.put(side, ticks, 0) for ticks, _ in self.best(side, max(0, count))]
        other, top = ("ask", self.top) if side == "bid" else ("bid", self.top)
        behind = top.bid + self.random.randint(1, 3) if side == "bid" else top.ask - self.random.randint(1, 3)
        return [*touched, self.put(other, behind, self.lots())] if behind > 0 else touched
