"""The features once more: slow, scalar and obvious."""

from dataclasses import dataclass, field
from math import isnan, nan

Levels = list[tuple[float, float]]  # price and size, best first
NOTHING = (nan, nan)


def features(bids: Levels, asks: Levels, known: int) -> dict[str, float]:
    bid, bid_size = bids[0] if bids else NOTHING
    ask, ask_size = asks[0] if asks else NOTHING
    total_bid = total_ask = nan
    if known >= 10:
        total_bid, total_ask = total(bids, 10), total(asks, 10)
    mid = (bid + ask) / 2
    return {
        "bid_price_1": bid,
        "bid_size_1": bid_size,
        "ask_price_1": ask,
        "ask_size_1": ask_size,
        "mid_price": mid,
        "spread": ask - bid,
        "spread_bps": (ask - bid) / mid * 10_000,
        "microprice": (bid * ask_size + ask * bid_size) / (bid_size + ask_size),
        "order_book_imbalance": imbalance(bids, asks, 10, known),
        "total_bid_volume_10": total_bid,
        "total_ask_volume_10": total_ask,
    }


def deep(bids: Levels, asks: Levels, known: int) -> dict[str, float]:
    found = {f"imbalance_{levels}": imbalance(bids, asks, levels, known) for levels in (5, 10)}
    for level in range(1, 11):
        for side, levels in (("bid", bids), ("ask", asks)):
            price, size = levels[level - 1] if level <= min(len(levels), known) else NOTHING
            found |= {f"{side}_price_{level}": price, f"{side}_size_{level}": size}
    return found


def total(side: Levels, levels: int) -> float:
    added = 0.0
    for _, size in side[:levels]:
        added += size
    return added


def imbalance(bids: Levels, asks: Levels, levels: int, known: int) -> float:
    total_bid, total_ask = total(bids, levels), total(asks, levels)
    if known < levels or total_bid + total_ask == 0:
        return nan
    return (total_bid - total_ask) / (total_bid + total_ask)


def order_flow(before: tuple[Levels, Levels] | None, now: tuple[Levels, Levels], level: int) -> float:
    """Return the flow at a level, 1 the best; each side holds the levels that are known."""
    if before is None or any(len(side) < level for side in (*before, *now)):
        return nan
    (bid_before, bid_size_before), (ask_before, ask_size_before) = (side[level - 1] for side in before)
    (bid, bid_size), (ask, ask_size) = (side[level - 1] for side in now)
    flow = 0.0
    if bid >= bid_before:
        flow += bid_size
    if bid <= bid_before:
        flow -= bid_size_before
    if ask <= ask_before:
        flow -= ask_size
    if ask >= ask_before:
        flow += ask_size_before
    return flow


@dataclass
class Update:
    """One state of one segment of one stream."""

    received_ns: int
    stream: int
    segment: int
    bids: Levels
    asks: Levels
    known: int
    sequence: int


@dataclass
class Told:
    """A row as it should be stored."""

    update: Update
    flow: list[float]


@dataclass
class Sampled:
    """One segment of one stream, sampled row by row."""

    mode: str
    window_ns: int
    before: tuple[Levels, Levels] | None = None
    flow: list[float] = field(default_factory=lambda: [0.0] * 10)
    waiting: Update | None = None

    def take(self, update: Update) -> list[Told]:
        """Return the rows that this update settles as stored."""
        stored = []
        if (
            self.waiting
            and self.waiting.received_ns // self.window_ns != update.received_ns // self.window_ns
        ):
            stored += self.over()
        now = update.bids[: update.known], update.asks[: update.known]
        moved = self.before is None or [side[:1] for side in self.before] != [side[:1] for side in now]
        for level in range(1, 11):
            self.flow[level - 1] += order_flow(self.before, now, level)
        self.before = now
        if self.mode == "interval":
            self.waiting = update
        elif moved or self.mode == "every":
            stored.append(self._stored(update))
        return stored

    def over(self) -> list[Told]:
        """Return the row whose window is over, if there is one."""
        waiting, self.waiting = self.waiting, None
        return [] if waiting is None else [self._stored(waiting)]

    def _stored(self, update: Update) -> Told:
        flow, self.flow = self.flow, [0.0] * 10
        return Told(update, flow)


def same(left: float | None, right: float | None) -> bool:
    """Compare bit for bit; NULL and NaN are the same."""
    left, right = (nan if one is None else one for one in (left, right))
    return left == right or (isnan(left) and isnan(right))
