"""Keep one side of a book: sizes by price, and the prices in order."""

from bisect import bisect_left

from collector.errors import FrameError
from collector.events.messages import Levels

MAX_PRICE = 1e15  # beyond any market; also refuses infinity
MAX_SIZE = 1e18


class Ladder:
    """Prices ascending and their sizes beside them: the best levels are slices of both."""

    __slots__ = ("lots", "prices")

    def __init__(self) -> None:
        self.prices: list[float] = []
        self.lots: list[float] = []  # the size at the price of the same place

    def __eq__(self, other: object) -> bool:
        """Say whether the other ladder has the same levels."""
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
        """Forget what was and take these levels."""
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
                    raise _refused(price, size)
            elif 0.0 < price < MAX_PRICE and 0.0 <= size < MAX_SIZE:
                if size:
                    prices.insert(place, price)
                    lots.insert(place, size)
                    count += 1
            else:
                raise _refused(price, size)

    def holds(self, price: float, size: float) -> bool:
        """Say whether a level has this size already; none has the size 0."""
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


def _refused(price: float, size: float) -> FrameError:
    finite = all(number == number and abs(number) != float("inf") for number in (price, size))  # noqa: PLR0124
    reason = "out_of_range" if finite else "not_finite"
    return FrameError(reason, f"level {price!r} x {size!r}: a price above 0 and a size of 0 or more expected")
