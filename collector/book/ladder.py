"""Keep one side of a book: sizes by price, and the prices in order."""

from bisect import bisect_left, insort

from collector.errors import FrameError
from collector.events.messages import Levels

MAX_PRICE = 1e15  # beyond any market; also refuses infinity
MAX_SIZE = 1e18


class Ladder:
    """Prices ascending in a list, sizes in a dict: most updates change a size and touch only the dict."""

    __slots__ = ("prices", "sizes")

    def __init__(self) -> None:
        self.prices: list[float] = []
        self.sizes: dict[float, float] = {}

    def __len__(self) -> int:
        """Return the number of levels."""
        return len(self.prices)

    def replace(self, levels: Levels) -> None:
        """Forget what was and take these levels."""
        self.sizes = {}
        self.prices = []
        self.update(levels)

    def update(self, levels: Levels) -> None:
        """Set each level's size; 0 removes it. Raises FrameError at a number no market could have."""
        sizes = self.sizes
        prices = self.prices
        for price, size in levels:
            # Written so that NaN, which compares false with everything, is refused as well.
            if not (0.0 < price < MAX_PRICE and 0.0 <= size < MAX_SIZE):
                raise _refused(price, size)
            if size:
                if price not in sizes:
                    insort(prices, price)
                sizes[price] = size
            elif price in sizes:
                del sizes[price]
                del prices[bisect_left(prices, price)]

    def cut_above(self, most: int) -> None:
        """Keep the lowest `most` prices: the best of an ask side."""
        for price in self.prices[most:]:
            del self.sizes[price]
        del self.prices[most:]

    def cut_below(self, most: int) -> None:
        """Keep the highest `most` prices: the best of a bid side."""
        surplus = len(self.prices) - most
        if surplus > 0:
            for price in self.prices[:surplus]:
                del self.sizes[price]
            del self.prices[:surplus]


def _refused(price: float, size: float) -> FrameError:
    finite = all(number == number and abs(number) != float("inf") for number in (price, size))  # noqa: PLR0124
    reason = "out_of_range" if finite else "not_finite"
    return FrameError(reason, f"level {price!r} x {size!r}: a price above 0 and a size of 0 or more expected")
