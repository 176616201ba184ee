"""Faults of the markets themselves and of the exchanges' clock."""

from collector.errors import UserError
from collector.simulator.faults.applied import AppliedFaults
from collector.simulator.market import Market


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

    def enlist(self, exchange: str, symbol: str) -> None:
        """List a new market while the exchange runs, or one that was taken off it."""
        self._do("enlist", exchange, lambda: self._world.enlist(exchange, symbol), detail=symbol)

    def volume(self, exchange: str, symbol: str, factor: float) -> None:
        """Multiply what tickers say was traded in the last 24 hours: markets change their rank."""
        self._set_feed(
            "volume", exchange, symbol, lambda feed: setattr(feed, "volume_factor", factor), str(factor)
        )

    def tempo(self, exchange: str, symbol: str, factor: float, seconds: float) -> None:
        """Multiply a market's own pace for so many seconds: 0 is dead quiet, 10 a burst."""
        self._do(
            "tempo",
            exchange,
            lambda: self._world.tempos.set(exchange, symbol, factor, seconds),
            symbol,
            detail=f"{factor} for {seconds} s",
        )

    def clock(self, offset_s: float, exchange: str | None = None) -> None:
        """Set the clock of one exchange, or of all, ahead or behind (negative) of the true time."""
        world = self._world
        names = [each.name for each in world.exchanges if exchange in {None, each.name}]
        if not names:
            raise UserError(f"this simulator has no exchange {exchange}")
        offsets = dict.fromkeys(names, int(offset_s * 1e9))
        self._do("clock", exchange, lambda: world.clock_offsets_ns.update(offsets), detail=str(offset_s))
