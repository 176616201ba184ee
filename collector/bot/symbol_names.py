"""Find a market by its name in any case or form: BTCUSDT, btc/usdt, BTC/USDT:USDT, XBT/USD."""

from collections.abc import Iterable

from collector.errors import UserError
from collector.exchanges import CURRENCY_ALIASES

Market = tuple[str, str]  # exchange, ccxt's symbol


class AmbiguousSymbolError(UserError, ValueError):
    """A name that means several markets."""


class SymbolNames:
    """Every spelling of every known market. Looking one up is one step, however many there are."""

    def __init__(self) -> None:
        self._exact: dict[str, tuple[Market, ...]] = {}
        self._loose: dict[str, tuple[Market, ...]] = {}

    def add(self, market: Market) -> None:
        """Add the spellings of a market."""
        _, symbol = market
        self._exact = _with(self._exact, [symbol.upper()], market)
        self._loose = _with(self._loose, _spellings(symbol), market)

    def find(self, name: str, exchange: str | None = None) -> Market | None:
        """Return the market meant, None when none is known by that name.

        ccxt's own name of one is believed before it is taken for a short form of another: `BTC/USDT` is the
        spot market where there is one. Raises AmbiguousSymbolError where several are meant.
        """
        name = one_name(name)
        for known, spelled in ((self._exact, name.upper()), (self._loose, _squeezed(name))):
            found = [one for one in known.get(spelled, ()) if exchange in (None, one[0])]
            if len(found) == 1:
                return found[0]
            if found:
                choices = ", ".join(f"{symbol} on {where}" for where, symbol in found)
                raise AmbiguousSymbolError(
                    f"symbol {name!r} means {len(found)} markets: {choices}; write the symbol in full, and "
                    "name the exchange with exchange=..."
                )
        return None


def one_name(symbol: object) -> str:
    """Return the name, or raise UserError for what is none, such as a list of several."""
    if not isinstance(symbol, str):
        raise UserError(f"symbol is {symbol!r}; expected one name, such as BTC/USDT:USDT")
    return symbol


def is_called(symbol: str, name: str) -> bool:
    """Return whether a name, in any case or form, may mean a symbol."""
    return _squeezed(name) in _spellings(symbol)


def begins_with(name: str, symbol: str) -> bool:
    """Return whether an exchange's own name of a market begins as a symbol does: BTCUSD_PERP, BTC/USD:BTC."""
    return _squeezed(name).startswith(_squeezed(symbol.partition(":")[0]))


def _with(
    known: dict[str, tuple[Market, ...]], spellings: Iterable[str], market: Market
) -> dict[str, tuple[Market, ...]]:
    """Return a copy with one more entry: readers of the old one see it whole."""
    return {**known, **{name: (*known.get(name, ()), market) for name in spellings}}


def _spellings(symbol: str) -> set[str]:
    whole = symbol.upper()
    pair, _, _ = whole.partition(":")
    base, _, quote = pair.partition("/")
    names = {whole, pair}
    if base in CURRENCY_ALIASES:
        names.add(f"{CURRENCY_ALIASES[base]}/{quote}")
    return {_squeezed(name) for name in names}


def _squeezed(name: str) -> str:
    return name.upper().replace("/", "").replace("-", "").replace("_", "")
