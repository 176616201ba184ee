"""What is traded: names, precisions and a price to begin at, for each symbol on each exchange."""

import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# Dollars, roughly: only the order of magnitude matters, the market drifts from here.
_PRICES = {
    "BTC": 65_000.0,
    "ETH": 2_600.0,
    "SOL": 150.0,
    "BNB": 600.0,
    "LTC": 70.0,
    "LINK": 11.0,
    "XRP": 0.55,
    "ADA": 0.35,
    "DOGE": 0.11,
    "TRX": 0.15,
    "EUR": 1.08,
    "GBP": 1.27,
}
_DOLLARS = {"USD", "USDT", "USDC"}
_TYPICAL_ORDER_USD = 5_000.0
# A price of at least so many ticks leaves room for deep books and long drifts.
_FEWEST_TICKS = 50_000


SequenceCounts = Literal["none", "event", "message"]


@dataclass(frozen=True, slots=True)
class Pair:
    """The parts of a symbol, and the decimals that its price calls for."""

    symbol: str
    base: str
    quote: str
    settle: str | None
    tick_decimals: int
    lot_decimals: int

    @property
    def joined(self) -> str:
        """The name on exchanges that write both assets as one word."""
        return self.base + self.quote


@dataclass(frozen=True, slots=True)
class Conventions:
    """How an exchange names a market and writes its numbers.

    `sequence` is what its book messages count: events of the market, messages of the channel, or nothing.
    """

    name: str
    sequence: SequenceCounts
    lot_decimals: int
    price_decimals: int
    size_decimals: int
    trims_zeros: bool = False
    names_trades_by_uuid: bool = False
    ids_per_event: int = 1
    contract_decimals: int = (
        0  # a contract is 10^-contract_decimals of the base; 0 where sizes are of the base
    )


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable market. Prices count in ticks of 10^-tick_decimals, sizes in lots of 10^-lot_decimals."""

    exchange: str
    symbol: str
    base: str
    quote: str
    settle: str | None
    conventions: Conventions
    tick_decimals: int
    start_ticks: int
    typical_lots: int

    @property
    def is_linear(self) -> bool:
        """Whether this is a perpetual future settled in its quote."""
        return self.settle is not None

    @property
    def name(self) -> str:
        """The exchange's own name on the wire."""
        return self.conventions.name

    @property
    def lot_decimals(self) -> int:
        """The decimals of one lot, in units of the base."""
        return self.conventions.lot_decimals

    @property
    def price_decimals(self) -> int:
        """The decimals with which the exchange writes prices."""
        return self.conventions.price_decimals

    @property
    def size_decimals(self) -> int:
        """The decimals with which the exchange writes sizes."""
        return self.conventions.size_decimals

    def price_text(self, ticks: int) -> str:
        """Write a price as the exchange does."""
        of = self.conventions
        return _decimal(
            ticks * 10 ** (of.price_decimals - self.tick_decimals), of.price_decimals, of.trims_zeros
        )

    def size_text(self, lots: int) -> str:
        """Write a size as the exchange does: in contracts where it counts contracts."""
        of = self.conventions
        return _decimal(
            lots * 10 ** (of.size_decimals - of.lot_decimals + of.contract_decimals),
            of.size_decimals,
            of.trims_zeros,
        )

    def base_text(self, lots: int) -> str:
        """Write a size in units of the base, whatever the exchange counts."""
        decimals = self.conventions.lot_decimals
        return _decimal(lots * int(10 ** max(-decimals, 0)), max(decimals, 0), self.conventions.trims_zeros)

    def price(self, ticks: int) -> float:
        """Return the double nearest to the price: what parsing its text gives."""
        return ticks / int(10**self.tick_decimals)

    def size(self, lots: int) -> float:
        """Return the double nearest to the size in units of the base."""
        decimals = self.conventions.lot_decimals
        return lots / int(10 ** max(decimals, 0)) * int(10 ** max(-decimals, 0))

    def levels(self, side: Iterable[tuple[int, int]]) -> tuple[tuple[float, float], ...]:
        """Return what `price` and `size` say of each (key, lots) of a side; a bid's key is negative."""
        a_price = int(10**self.tick_decimals)
        decimals = self.conventions.lot_decimals
        parts, whole = int(10 ** max(decimals, 0)), int(10 ** max(-decimals, 0))
        return tuple([(abs(key) / a_price, lots / parts * whole) for key, lots in side])

    def turnover(self, tick_lots: int) -> float:
        """Return the turnover in the quote of so many tick-lots."""
        return tick_lots / float(10 ** (self.tick_decimals + self.conventions.lot_decimals))

    def trade_id(self, number: int) -> str:
        """Write a trade's id as the exchange does."""
        if self.conventions.names_trades_by_uuid:
            return str(uuid.UUID(int=number << 64 | number, version=4))
        return str(number)


def pair_of(symbol: str) -> Pair:
    """Split a symbol: `BTC/USDT` is spot, `BTC/USDT:USDT` a linear perpetual."""
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    price = _usd(base) / _usd(quote)
    tick_decimals = next(decimals for decimals in range(20) if price * 10**decimals >= _FEWEST_TICKS)
    spot_lots = min(8, max(0, len(str(int(_usd(base)))) + 1))
    lot_decimals = max(0, spot_lots - 3) if settle else spot_lots
    return Pair(symbol, base, quote, settle or None, max(tick_decimals, 1), lot_decimals)


def describe(exchange: str, pair: Pair, conventions: Conventions) -> Instrument:
    """Describe a pair as an exchange trades it."""
    price = _usd(pair.base) / _usd(pair.quote)
    return Instrument(
        exchange=exchange,
        symbol=pair.symbol,
        base=pair.base,
        quote=pair.quote,
        settle=pair.settle,
        conventions=conventions,
        tick_decimals=pair.tick_decimals,
        start_ticks=round(price * 10**pair.tick_decimals),
        typical_lots=max(5, round(_TYPICAL_ORDER_USD / _usd(pair.base) * 10**conventions.lot_decimals)),
    )


def _usd(asset: str) -> float:
    if asset in _DOLLARS:
        return 1.0
    # An unknown name gets a price of its own, the same in every run.
    return _PRICES.get(asset) or 10 ** random.Random(asset).uniform(-2, 3)  # noqa: S311  (not a secret)


def _decimal(units: int, decimals: int, trims_zeros: bool) -> str:
    if not decimals:
        return str(units)
    whole, part = divmod(units, 10**decimals)
    text = f"{whole}.{part:0{decimals}d}"
    return text.rstrip("0").rstrip(".") if trims_zeros else text
