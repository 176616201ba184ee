"""Find the markets that names mean, and the choices made between several. Pure."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from collector.errors import UserError
from collector.events import MarketChoice
from collector.exchanges import MarketKind
from collector.network.markets import Markets


@dataclass(frozen=True, slots=True)
class Found:
    """The markets that names mean."""

    markets: list[tuple[MarketKind, Any]]  # each once
    choices: list[MarketChoice]  # where a name could mean several
    repeated: dict[str, list[str]]  # symbols that several names mean, with these
    unknown: list[tuple[str, str]]  # names that mean none, and what is wrong with each
    meant: dict[str, str]  # the symbol that each name means


def look_up(markets: Markets, names: Sequence[str]) -> Found:
    """Return the markets that the names mean, each once, with its kind."""
    found: dict[str, tuple[MarketKind, Any]] = {}
    named: dict[str, list[str]] = {}
    choices: list[MarketChoice] = []
    unknown: list[tuple[str, str]] = []
    for name in names:
        try:
            market, *others = markets.choose(name)
            kind = markets.kind_of(market)
        except UserError as error:
            unknown.append((name, str(error)))
            continue
        symbol = str(market["symbol"])
        found[symbol] = kind, market
        named.setdefault(symbol, []).append(name)
        if others:
            also = tuple((str(one["symbol"]), markets.kind_of(one)) for one in others)
            choices.append(MarketChoice(name, symbol, kind, also))
    repeated = {symbol: several for symbol, several in named.items() if len(several) > 1}
    meant = {name: symbol for symbol, several in named.items() for name in several}
    return Found(list(found.values()), choices, repeated, unknown, meant)


def collected(markets: Markets, name: str, symbols: Container[str]) -> str | None:
    """Return which of the symbols collected a name means: of several kinds the first that is collected."""
    meant = (str(one["symbol"]) for one in markets.choose(name))
    return next((one for one in meant if one in symbols), None)
