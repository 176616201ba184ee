"""Keep both sides of a local order book and read its best levels."""

from collector.book.ladder import Ladder
from collector.events.messages import Levels

NAN = float("nan")


class OrderBook:
    """Two ladders. Knows no exchange and no sequence: only levels."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Ladder()
        self.asks = Ladder()

    def __eq__(self, other: object) -> bool:
        """Say whether the other book has the same levels."""
        if not isinstance(other, OrderBook):
            return NotImplemented
        return self.bids == other.bids and self.asks == other.asks

    __hash__ = None  # type: ignore[assignment]  # it changes

    def replace(self, bids: Levels, asks: Levels) -> None:
        """Take a whole book."""
        self.bids.replace(bids)
        self.asks.replace(asks)

    def update(self, bids: Levels, asks: Levels) -> None:
        """Take changed levels."""
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
