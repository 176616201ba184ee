"""Keep a local order book, a ladder of levels a side, and read its best levels."""

from bisect import bisect_left

from collector.events import MAX_PRICE, MAX_SIZE, Levels, impossible_level

NAN = float("nan")


class Ladder:
    """One side: prices ascending and their sizes beside them, so that the best levels are slices of both."""

    __slots__ = ("lots", "prices")

    def __init__(self) -> None:
        self.prices: list[float] = []
        self.lots: list[float] = []  # the size at the price of the same place

    def __eq__(self, other: object) -> bool:
        """Compare the levels."""
        if not isinstance(other, Ladder):
            return NotImplemented
        return self.prices == other.prices and self.lots == other.lots

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __len__(self) -> int:
        """Return the number of levels."""
        return len(self.prices)

    @property
    def sizes(self) -> dict[float, float]:
        """Return the sizes by price, made anew: not for every message."""
        return dict(zip(self.prices, self.lots, strict=True))

    def replace(self, levels: Levels) -> None:
        """Replace all levels by these."""
        self.prices = []
        self.lots = []
        self.update(levels)

    def update(self, levels: Levels) -> None:
        """Set each level's size; 0 removes it. Raises FrameError at a number no market could have."""
        prices, lots = self.prices, self.lots
        count = len(prices)
        for price, size in levels:
            place = bisect_left(prices, price)
            # Written so that NaN, which compares false with everything, is refused as well.
            if place < count and prices[place] == price:  # judged when it came
                if 0.0 < size < MAX_SIZE:
                    lots[place] = size
                elif size == 0.0:
                    del prices[place], lots[place]
                    count -= 1
                else:
                    raise impossible_level(price, size)
            elif 0.0 < price < MAX_PRICE and 0.0 <= size < MAX_SIZE:
                if size:
                    prices.insert(place, price)
                    lots.insert(place, size)
                    count += 1
            else:
                raise impossible_level(price, size)

    def holds(self, price: float, size: float) -> bool:
        """Return whether a level has this size already; none has the size 0."""
        place = bisect_left(self.prices, price)
        if place < len(self.prices) and self.prices[place] == price:
            return self.lots[place] == size
        return size == 0.0

    def cut_above(self, most: int) -> None:
        """Keep the lowest `most` prices: the best of an ask side."""
        del self.prices[most:], self.lots[most:]

    def cut_below(self, most: int) -> None:
        """Keep the highest `most` prices: the best of a bid side."""
        surplus = len(self.prices) - most
        if surplus > 0:
            del self.prices[:surplus], self.lots[:surplus]


class OrderBook:
    """Both sides. Knows no exchange and no sequence: only levels."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Ladder()
        self.asks = Ladder()

    def __eq__(self, other: object) -> bool:
        """Compare the levels of both sides."""
        if not isinstance(other, OrderBook):
            return NotImplemented
        return self.bids == other.bids and self.asks == other.asks

    __hash__ = None  # type: ignore[assignment]  # it changes

    def replace(self, bids: Levels, asks: Levels) -> None:
        """Replace all levels of both sides."""
        self.bids.replace(bids)
        self.asks.replace(asks)

    def update(self, bids: Levels, asks: Levels) -> None:
        """Set changed levels of both sides."""
        self.bids.update(bids)
        self.asks.update(asks)

    def top(self, levels: int) -> list[float]:
        """Return the best levels as numbers: bid prices, bid sizes, ask prices, ask sizes, `levels` of each.

        What a side does not have is NaN.
        """
        below = -levels - 1
        bid_prices, bid_sizes = self.bids.prices[:below:-1], self.bids.lots[:below:-1]
        ask_prices, ask_sizes = self.asks.prices[:levels], self.asks.lots[:levels]
        if len(bid_prices) == levels == len(ask_prices):
            return [*bid_prices, *bid_sizes, *ask_prices, *ask_sizes]
        bid_gap = [NAN] * (levels - len(bid_prices))
        ask_gap = [NAN] * (levels - len(ask_prices))
        return [
            *(*bid_prices, *bid_gap, *bid_sizes, *bid_gap),
            *(*ask_prices, *ask_gap, *ask_sizes, *ask_gap),
        ]
