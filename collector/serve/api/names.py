"""Name markets as their exchanges do, and find the one that a client means. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from collector.errors import UserError
from collector.exchanges import CURRENCY_ALIASES, is_registered, kind_of

_SHOWN = 20


class Market(NamedTuple):
    """A market: ccxt's name of it, and what its exchange calls it where that is known."""

    exchange: str
    symbol: str
    market_id: str = ""

    @property
    def name(self) -> str:
        """Return its short name: `BTCUSDT` of `BTC/USDT:USDT`, `BTCUSDT-260327` of a dated future."""
        pair, _, settled = self.symbol.partition(":")
        _, dash, date = settled.partition("-")
        return f"{pair.replace('/', '')}{dash}{date}"

    @property
    def kind(self) -> str | None:
        """Return the kind of market: spot, linear, inverse, option."""
        return kind_of(self.symbol)


class NoSuchMarket(UserError):  # noqa: N818  (an answer, not a fault)
    """A name that means no market here."""


class SeveralMarkets(UserError):  # noqa: N818  (an answer, not a fault)
    """A name that means more than one market."""


class Names:
    """The markets of one moment, by every name that they have."""

    def __init__(self, markets: Iterable[Market]) -> None:
        first: dict[tuple[str, str], Market] = {}
        for one in markets:
            first.setdefault(one[:2], one)
        self.markets = tuple(first.values())
        short = Counter(one.name for one in self.markets)
        placed = Counter((one.exchange, one.name) for one in self.markets)
        self._keys = {one[:2]: _key(one, short, placed) for one in self.markets}

    def key(self, exchange: str, symbol: str) -> str:
        """Return the name that one market alone has: `BTCUSDT`, else `BYBIT:BTCUSDT`, else with ccxt's."""
        return self._keys.get((exchange, symbol)) or f"{exchange.upper()}:{symbol}"

    def chosen(self, exchange: str | None = None, market: str | None = None) -> list[Market]:
        """Return the markets of an exchange and of a kind; None means any."""
        return [
            one for one in self.markets if exchange in (None, one.exchange) and market in (None, one.kind)
        ]

    def find(self, name: str, exchange: str | None = None, market: str | None = None) -> Market:
        """Return the market that a name means. Raises NoSuchMarket or SeveralMarkets, with the choice."""
        prefix, colon, rest = name.partition(":")
        if colon and exchange is None and is_registered(prefix.lower()):
            name, exchange = rest, prefix.lower()
        among = self.chosen(exchange, market)
        found = [one for one in among if one.symbol.upper() == name.upper()]
        found = found or [one for one in among if _squeezed(name) in _spellings(one)]
        if len(found) == 1:
            return found[0]
        if found:
            choices = " or ".join(f"{one.exchange} {one.symbol} ({one.kind})" for one in found)
            raise SeveralMarkets(
                f"{name!r} means {len(found)} markets: {choices}; expected ?exchange= or ?market= as well"
            )
        raise NoSuchMarket(
            f"no market here is called {name!r}; expected {_listed(among or self.markets, self)}"
        )


def _key(market: Market, short: Counter[str], placed: Counter[tuple[str, str]]) -> str:
    if short[market.name] == 1:
        return market.name
    is_alone = placed[market.exchange, market.name] == 1
    return f"{market.exchange.upper()}:{market.name if is_alone else market.symbol}"


def _listed(markets: Sequence[Market], names: Names) -> str:
    shown = [names.key(one.exchange, one.symbol) for one in markets[:_SHOWN]]
    more = " ..." if len(markets) > _SHOWN else ""
    return f"one of {', '.join(shown)}{more}" if shown else "one that is collected: there is none yet"


def _spellings(market: Market) -> set[str]:
    names = {market.symbol, market.name, market.market_id}
    base = market.symbol.upper().partition("/")[0]
    if base in CURRENCY_ALIASES:
        names.add(market.name.upper().replace(base, CURRENCY_ALIASES[base], 1))
    return {_squeezed(name) for name in names if name}


def _squeezed(name: str) -> str:
    return name.upper().replace("/", "").replace("-", "").replace("_", "")
