"""A living limit order book: seeded, without clock or I/O, the same steps for the same seed.

One step is a handful of orders: arrivals, cancellations, trades that take levels. A reference price
wanders and pulls the book with it, so that a long run leaves the range of its first snapshot. What the
exchanges publish of a step (book, trades, bars, top of book) is all read off this one model.

A side keeps its levels under integer keys, best first: the price in ticks for asks, its negative for
bids. Written so, both sides share every line of code, and the spread is the sum of the two best keys.
"""

import random
from array import array
from bisect import bisect_left, insort
from math import log
from typing import Any, NamedTuple

TOP_LEVELS = 10
_FEWEST_LEVELS = 12
_MORE_ASKS = 12
# The mix of orders: what is left over are trades.
_ARRIVALS = 0.45
_CANCELLATIONS = 0.37
_NEW_MOOD = 0.005
_NEAR_THE_TOUCH = 0.6
_WHOLE_LEVEL = 0.6
# Ticks: beyond these the book runs after the reference price, or market makers close the spread.
_FAR_FROM_REFERENCE = 30
_WIDE_SPREAD = 8


class Side:
    """One side of the book."""

    __slots__ = ("keys", "lots")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.lots: dict[int, int] = {}

    def put(self, key: int, lots: int) -> None:
        """Set a level's size; 0 removes it."""
        if lots:
            if key not in self.lots:
                insort(self.keys, key)
            self.lots[key] = lots
        elif self.lots.pop(key, 0):
            del self.keys[bisect_left(self.keys, key)]

    def top(self, depth: int) -> list[tuple[int, int]]:
        """List the best levels as (key, lots)."""
        lots = self.lots
        return [(key, lots[key]) for key in self.keys[:depth]]


class Fill(NamedTuple):
    """One trade: a taker met a resting order."""

    ticks: int
    lots: int
    taker_buys: bool


class SideChange(NamedTuple):
    """What a step did to one side: the keys before it, and the former size of each level it touched."""

    keys_before: list[int]
    lots_before: dict[int, int]


class Change(NamedTuple):
    """What one step did."""

    bids: SideChange
    asks: SideChange
    fills: list[Fill]
    first_event: int
    last_event: int
    top_changed: bool


class Frozen(NamedTuple):
    """The state of a market between two steps, kept small."""

    random: tuple[Any, Any, Any]
    sides: tuple["array[int]", ...]
    scalars: tuple[Any, ...]


class Market:
    """The order book of one symbol and the orders that move it."""

    def __init__(self, seed: str, start_ticks: int, typical_lots: int, levels: int = 300) -> None:
        self.random = random.Random(seed)  # noqa: S311  (a repeatable market, not a secret)
        self.start = start_ticks
        self.levels = levels
        self.typical_lots = typical_lots
        self.reference = float(start_ticks)
        self.trend = 0.0
        self.activity = 2.0
        self.event = 0
        self.bids = Side()
        self.asks = Side()
        for side, key in ((self.bids, -start_ticks), (self.asks, start_ticks + 1)):
            for _ in range(self._target(side)):
                side.put(key, self._order_lots())
                key += 1 + int(self._exponential(1.5))  # noqa: PLW2901  (walks down the side)

    def freeze(self) -> "Frozen":
        """Keep the whole state, random state and all, in a few kilobytes."""
        version, state, gauss = self.random.getstate()
        sides = tuple(
            array("q", side.keys + [side.lots[key] for key in side.keys]) for side in (self.bids, self.asks)
        )
        scalars = (
            self.start,
            self.levels,
            self.typical_lots,
            self.reference,
            self.trend,
            self.activity,
            self.event,
        )
        return Frozen((version, array("L", state), gauss), sides, scalars)

    @classmethod
    def thaw(cls, frozen: "Frozen") -> "Market":
        """Restore a kept state: the same steps follow."""
        market = cls.__new__(cls)
        version, state, gauss = frozen.random
        market.random = random.Random()  # noqa: S311  (its state is set on the next line)
        market.random.setstate((version, tuple(state), gauss))
        (
            market.start,
            market.levels,
            market.typical_lots,
            market.reference,
            market.trend,
            market.activity,
            market.event,
        ) = frozen.scalars
        market.bids, market.asks = Side(), Side()
        for side, packed in zip((market.bids, market.asks), frozen.sides, strict=True):
            half = len(packed) // 2
            side.keys = packed[:half].tolist()
            side.lots = dict(zip(side.keys, packed[half:], strict=True))
        return market

    def step(self) -> Change:
        """Apply the next orders. The best ten levels always change, so that every step makes a message."""
        self._drift()
        before = (SideChange(self.bids.keys.copy(), {}), SideChange(self.asks.keys.copy(), {}))
        best = self._touch()
        fills: list[Fill] = []
        first = self.event + 1
        for _ in range(1 + int(self._exponential(self.activity))):
            self._order(before, fills)
        for side, change in zip((self.bids, self.asks), before, strict=True):
            self._refill(side, change)
        if not any(map(_top_changed, (self.bids, self.asks), before)):
            self._set(self.bids, before[0], self.bids.keys[0], self.bids.lots[self.bids.keys[0]] + 1)
        return Change(*before, fills, first, self.event, self._touch() != best)

    def sweep(self, buys: bool, levels: int) -> Change:
        """Take whole levels off one side: a market order that moves the price past them."""
        before = (SideChange(self.bids.keys.copy(), {}), SideChange(self.asks.keys.copy(), {}))
        fills: list[Fill] = []
        first = self.event + 1
        for _ in range(levels):
            self._take(before, fills, buys=buys, lots=None)
        # Nobody returns within this step: the next level, however long it lay there, is the best now.
        self.reference = float(self.asks.keys[0] if buys else -self.bids.keys[0])
        return Change(*before, fills, first, self.event, top_changed=True)

    def cross(self) -> Change:
        """Put a bid above the best ask, which no exchange should show."""
        return self._put_bid(-(self.asks.keys[0] + 2), self._order_lots())

    def uncross(self) -> Change:
        """Remove the bid that crossed the book."""
        return self._put_bid(self.bids.keys[0], 0)

    def _put_bid(self, key: int, lots: int) -> Change:
        before = (SideChange(self.bids.keys.copy(), {}), SideChange(self.asks.keys.copy(), {}))
        first = self.event + 1
        self._set(self.bids, before[0], key, lots)
        return Change(*before, [], first, self.event, top_changed=True)

    def _touch(self) -> tuple[int, int, int, int]:
        bid, ask = self.bids.keys[0], self.asks.keys[0]
        return bid, self.bids.lots[bid], ask, self.asks.lots[ask]

    def _drift(self) -> None:
        draw = self.random.random
        if draw() < _NEW_MOOD:
            # A new mood: where the price goes, and whether it is a burst or a quiet spell.
            self.trend = (draw() - 0.5) * 2
            self.activity = (0.5, 2.0, 2.0, 8.0)[int(draw() * 4)]
            if not 0.5 * self.start < self.reference < 2 * self.start:
                self.trend = abs(self.trend) if self.reference < self.start else -abs(self.trend)
        self.reference += self.trend + (draw() - 0.5) * 2

    def _order(self, before: tuple[SideChange, SideChange], fills: list[Fill]) -> None:
        draw = self.random.random
        pull = self.reference - (self.asks.keys[0] - self.bids.keys[0]) / 2
        buyers = 0.5 + max(-0.4, min(0.4, pull / 25))
        kind = draw()
        if kind < _ARRIVALS:
            bids = draw() < buyers
            side, change, other = (
                (self.bids, before[0], self.asks) if bids else (self.asks, before[1], self.bids)
            )
            spread = side.keys[0] + other.keys[0]
            depth = self._exponential(10 if draw() < _NEAR_THE_TOUCH else 120)
            key = side.keys[0] + int(depth) - int(draw() * min(spread, 8 + spread / 2))
            self._set(side, change, key, side.lots.get(key, 0) + self._order_lots())
        elif kind < _ARRIVALS + _CANCELLATIONS:
            side, change = (self.bids, before[0]) if draw() > buyers else (self.asks, before[1])
            if len(side.keys) > _FEWEST_LEVELS:
                key = side.keys[min(int(self._exponential(15)), len(side.keys) - 1)]
                self._set(side, change, key, 0 if draw() < _WHOLE_LEVEL else int(side.lots[key] * draw()))
        elif abs(pull) > _FAR_FROM_REFERENCE:
            for _ in range(1 + int(draw() * 6)):
                self._take(before, fills, buys=pull > 0, lots=None)
        else:
            self._take(before, fills, buys=draw() < buyers, lots=self._order_lots() // 2 + 1)

    def _take(
        self, before: tuple[SideChange, SideChange], fills: list[Fill], *, buys: bool, lots: int | None
    ) -> None:
        side, change = (self.asks, before[1]) if buys else (self.bids, before[0])
        if len(side.keys) <= _FEWEST_LEVELS:
            return
        key = side.keys[0]
        taken = side.lots[key] if lots is None else min(lots, side.lots[key])
        fills.append(Fill(abs(key), taken, buys))
        self._set(side, change, key, side.lots[key] - taken)

    def _refill(self, side: Side, change: SideChange) -> None:
        """Keep the number of levels near its target: market makers return to a touch that was swept."""
        target = self._target(side)
        for _ in range(2):
            if len(side.keys) > target + 4:
                self._set(side, change, side.keys[-1], 0)
            elif len(side.keys) < target:
                spread = self.bids.keys[0] + self.asks.keys[0]
                near = side.keys[0] + 1 - int(min(spread, self.random.random() * spread))
                deep = side.keys[-1] + 1 + int(self._exponential(1.5))
                self._set(side, change, near if spread > _WIDE_SPREAD else deep, self._order_lots())

    def _target(self, side: Side) -> int:
        """Return how many levels a side should have: as many on both would look like a book cut off there."""
        return self.levels + _MORE_ASKS if side is self.asks else self.levels

    def _set(self, side: Side, change: SideChange, key: int, lots: int) -> None:
        if side is self.bids and key >= 0:
            return
        change.lots_before.setdefault(key, side.lots.get(key, 0))
        side.put(key, lots)
        self.event += 1

    def _order_lots(self) -> int:
        """Draw a size with the heavy tail that resting orders have."""
        return 1 + int(self.typical_lots * (1 / (0.03 + self.random.random()) - 0.9) / 4)

    def _exponential(self, mean: float) -> float:
        return -mean * log(1.0 - self.random.random())


def _top_changed(side: Side, change: SideChange) -> bool:
    edge = max(side.keys[TOP_LEVELS - 1], change.keys_before[TOP_LEVELS - 1])
    lots = side.lots
    return any(key <= edge and lots.get(key, 0) != was for key, was in change.lots_before.items())
