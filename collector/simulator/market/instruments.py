"""What is traded: names, precisions and a price to begin at, for each symbol on each exchange."""

import random
import uuid
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable market. Prices count in ticks of 10^-tick_decimals, sizes in lots of 10^-lot_decimals."""

    exchange: str
    symbol: str
    base: str
    quote: str
    settle: str | None
    tick_decimals: int
    lot_decimals: int
    price_decimals: int
    size_decimals: int
    trims_zeros: bool
    names_trades_by_uuid: bool
    start_ticks: int
    typical_lots: int
    ids_per_event: int

    @property
    def is_linear(self) -> bool:
        """Whether this is a perpetual future settled in its quote."""
        return self.settle is not None

    @property
    def name(self) -> str:
        """The exchange's own name on the wire."""
        return self.symbol if self.exchange == "kraken" else self.base + self.quote

    def price_text(self, ticks: int) -> str:
        """Write a price as the exchange does."""
        return _decimal(
            ticks * 10 ** (self.price_decimals - self.tick_decimals), self.price_decimals, self.trims_zeros
        )

    def size_text(self, lots: int) -> str:
        """Write a size as the exchange does."""
        return _decimal(
            lots * 10 ** (self.size_decimals - self.lot_decimals), self.size_decimals, self.trims_zeros
        )

    def price(self, ticks: int) -> float:
        """Give the double nearest to the price: what parsing its text gives."""
        return ticks / int(10**self.tick_decimals)

    def size(self, lots: int) -> float:
        """Give the double nearest to the size: what parsing its text gives."""
        return lots / int(10**self.lot_decimals)

    def trade_id(self, number: int) -> str:
        """Write a trade's id as the exchange does."""
        return (
            str(uuid.UUID(int=number << 64 | number, version=4)) if self.names_trades_by_uuid else str(number)
        )


def instrument(exchange: str, symbol: str) -> Instrument:
    """Describe a symbol, as `BTC/USDT` (spot) or `BTC/USDT:USDT` (linear perpetual)."""
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    price = _usd(base) / _usd(quote)
    tick_decimals = next(decimals for decimals in range(20) if price * 10**decimals >= _FEWEST_TICKS)
    tick_decimals = max(tick_decimals, 1)
    spot_lots = min(8, max(0, len(str(int(_usd(base)))) + 1))
    linear_lots = max(0, spot_lots - 3)
    lot_decimals = 8 if exchange == "kraken" else linear_lots if settle else spot_lots
    price_decimals, size_decimals = tick_decimals, lot_decimals
    if exchange == "binance" and not settle:
        price_decimals = size_decimals = 8
    elif exchange != "kraken" and settle:
        price_decimals = max(2, tick_decimals)
    return Instrument(
        exchange=exchange,
        symbol=symbol,
        base=base,
        quote=quote,
        settle=settle or None,
        tick_decimals=tick_decimals,
        lot_decimals=lot_decimals,
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        trims_zeros=exchange == "bybit" and not settle,
        names_trades_by_uuid=exchange == "bybit" and bool(settle),
        start_ticks=round(price * 10**tick_decimals),
        # Binance numbers all its futures in one space: a symbol's ids leave gaps between its own.
        ids_per_event=8 if exchange == "binance" and settle else 1,
        typical_lots=max(5, round(_TYPICAL_ORDER_USD / _usd(base) * 10**lot_decimals)),
    )


def _usd(asset: str) -> float:
    if asset in _DOLLARS:
        return 1.0
    # A name that nobody knows gets a price of its own, the same in every run.
    return _PRICES.get(asset) or 10 ** random.Random(asset).uniform(-2, 3)  # noqa: S311  (not a secret)


def _decimal(units: int, decimals: int, trims_zeros: bool) -> str:
    if not decimals:
        return str(units)
    whole, part = divmod(units, 10**decimals)
    text = f"{whole}.{part:0{decimals}d}"
    return text.rstrip("0").rstrip(".") if trims_zeros else text
