"""Choose what settings leave open: the kind of a market, a book's depth, the markets themselves.

The facts stand in the folders of the exchanges. No exchange has been asked yet when settings are read: what a
name is taken for here, `Markets` finds to be so, or else the other kind where the exchange has the name there
only.
"""

from collections.abc import Sequence

from collector.errors import SettingsError
from collector.events.channel import BOOK, Channel
from collector.exchanges.exchange import KINDS, MarketKind, depths_text, kind_of
from collector.exchanges.registry import exchange_of, smallest_depth_holding

DEFAULT_LEVELS = 50  # of the book that is collected where no channel is named


def kinds_in_order(exchange: str, market: MarketKind | None = None) -> tuple[MarketKind, ...]:
    """Return the kinds of market collected from an exchange, the one that a plain name means first."""
    order = [market] if market is not None else []
    order += exchange_of(exchange).preferred
    return tuple(kind for kind in dict.fromkeys(order) if kind in exchange_of(exchange).kinds)


def one_kind(value: object) -> MarketKind | None:
    """Return a value as a kind of market; None if it is none."""
    return next((kind for kind in KINDS if kind == value), None)


def kind_meant(exchange: str, name: str, market: MarketKind | None = None) -> str | None:
    """Return the kind of market that a name is taken for; None where that is not known."""
    return kind_of(name) or next(iter(kinds_in_order(exchange, market)), None)


def market_meant(exchange: str, name: str, market: MarketKind | None = None) -> tuple[str, str | None]:
    """Return a key that two names of one market share, as far as that is known without asking."""
    settled = name.partition(":")[2] if kind_of(name) in {"inverse", "option"} else ""
    pair = name if "-" in name else name.partition(":")[0].replace("/", "")
    return (pair + settled).upper(), kind_meant(exchange, name, market)


def default_channel(
    exchange: str, names: Sequence[str], market: MarketKind | None = None, levels: int = DEFAULT_LEVELS
) -> str:
    """Return the smallest book channel that holds `levels` levels in every market that the names mean."""
    meant = {kind_meant(exchange, name, market) for name in names}
    offered = kinds_in_order(exchange, market)
    kinds = [kind for kind in offered if kind in meant] or offered[:1]
    return f"book.{max(smallest_depth_holding(exchange, kind, levels) for kind in kinds)}"


def default_markets(exchange: str, market: MarketKind | None = None) -> tuple[str, ...]:
    """Return the markets that are collected by default; SettingsError if there are none."""
    markets = exchange_of(exchange).bare_markets
    for kind in kinds_in_order(exchange, market):
        if kind in markets:
            return markets[kind]
    raise SettingsError([f"exchange {exchange!r} has no default markets: name some"])


def depth_problem(exchange: str, kind: str | None, channel: str) -> str | None:
    """Describe what is wrong with a book's depth for a kind of market; None if nothing is."""
    meant = Channel.of(channel)
    depths = next((each for one, each in exchange_of(exchange).depths.items() if one == kind), None)
    if meant.family != BOOK or not meant.is_well_formed or depths is None or meant.depth in depths:
        return None
    return f"a depth that {exchange} does not offer for {kind}, expected {depths_text(depths)}"
