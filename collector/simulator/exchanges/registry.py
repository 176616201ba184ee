"""Every simulated exchange, one line each."""

from collections.abc import Mapping, Sequence

from collector.errors import UserError
from collector.simulator.exchanges.binance import Binance
from collector.simulator.exchanges.bybit import Bybit
from collector.simulator.exchanges.exchange import Exchange
from collector.simulator.exchanges.kraken import Kraken
from collector.simulator.exchanges.okx import Okx
from collector.simulator.market import Instrument

EXCHANGES: Mapping[str, type[Exchange]] = {kind.name: kind for kind in (Bybit, Binance, Kraken, Okx)}
DEFAULT_SYMBOLS: Mapping[str, Sequence[str]] = {
    name: kind.default_symbols for name, kind in EXCHANGES.items()
}


def chosen_symbols(symbols: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """Return each exchange's symbols, each once, in the registry's order; refuse unknown exchanges."""
    chosen = DEFAULT_SYMBOLS if symbols is None else symbols
    unknown = set(chosen) - set(EXCHANGES)
    if unknown:
        raise UserError(f"no simulated exchange is called {', '.join(sorted(unknown))}")
    return {name: tuple(dict.fromkeys(chosen[name])) for name in EXCHANGES if name in chosen}


def instrument(exchange: str, symbol: str) -> Instrument:
    """Describe a symbol of an exchange."""
    return EXCHANGES[exchange].instrument(symbol)
