"""Faults of the markets themselves and of the exchanges' clock."""

from collector.simulator.faults.applied import AppliedFaults
from collector.simulator.market.market import Market


class MarketFaults(AppliedFaults):
    """What can be made to go wrong with markets."""

    def crossed_book(self, exchange: str, symbol: str) -> None:
        """Cross the book in the next step, checksum and all, and put it right in the one after."""
        self._plan("crossed_book", exchange, symbol, Market.cross, Market.uncross)

    def sweep(self, exchange: str, symbol: str, levels: int = 30, *, buys: bool = False) -> None:
        """Make the next step a market order that takes whole levels off one side."""
        self._plan("sweep", exchange, symbol, lambda market: market.sweep(buys=buys, levels=levels))

    def delist(self, exchange: str, symbol: str) -> None:
        """Take a symbol off the exchange: gone from REST, its streams silent, new subscriptions refused."""
        self._set_feed("delist", exchange, symbol, lambda feed: setattr(feed, "delisted", True))

    def clock(self, offset_s: float) -> None:
        """Set the exchanges' clock ahead, or behind (negative), of the true time."""

        def apply() -> None:
            self._world.clock_offset_ns = int(offset_s * 1e9)

        self._do("clock", None, apply, detail=str(offset_s))
