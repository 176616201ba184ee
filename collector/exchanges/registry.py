"""Register every exchange, a line each, and look them up. A contradiction in their facts stops the import."""

from collections.abc import Iterator, Mapping

from collector.errors import SettingsError
from collector.events import BBO, BOOK, TRADE, Channel, length_s
from collector.exchanges.binance import BINANCE
from collector.exchanges.bybit import BYBIT
from collector.exchanges.exchange import Environment, Exchange, MarketKind, Past, one_of
from collector.exchanges.kraken import KRAKEN
from collector.exchanges.okx import OKX
from collector.exchanges.unverified import CCXT_NAMES, UNVERIFIED

EXCHANGES: dict[str, Exchange] = {
    one.name: one
    for one in (
        BYBIT,
        BINANCE,
        KRAKEN,
        OKX,
    )
}
DEFAULT_EXCHANGE = BYBIT.name  # where nobody says which
UNVERIFIED_NAMES = CCXT_NAMES - EXCHANGES.keys()
# By our name of a currency: what some exchange calls it.
CURRENCY_ALIASES: Mapping[str, str] = {
    ours: theirs for one in EXCHANGES.values() for ours, theirs in one.currency_aliases.items()
}


def is_known(name: str) -> bool:
    """Return whether an exchange can be collected, verified or not."""
    return name in EXCHANGES or name in UNVERIFIED_NAMES


def exchange_of(name: str) -> Exchange:
    """Return the facts of an exchange; SettingsError with the known names if it is not one."""
    if name in EXCHANGES:
        return EXCHANGES[name]
    if name in UNVERIFIED_NAMES:
        return UNVERIFIED
    raise SettingsError([f"exchange {name!r} is not known, expected one of {', '.join(EXCHANGES)}"])


def bar_intervals(name: str) -> dict[str, int | None]:
    """Return the intervals of an exchange's bars, the shortest first, each with its length in seconds.

    None is the length of a month, of which each has its own. Empty for an exchange whose bars are not
    collected; SettingsError for one that is not known.
    """
    return {interval: length_s(interval) for interval in exchange_of(name).intervals}


def environment_problem(name: str, environment: Environment) -> str | None:
    """Describe why an exchange has no such environment; None if it has."""
    offered = exchange_of(name).environments
    if environment in offered:
        return None
    return f"{name} has no {environment} environment, expected {one_of(offered)}"


def smallest_depth_holding(name: str, kind: MarketKind, levels: int) -> int:
    """Return the smallest book depth offered that holds `levels` levels a side."""
    exchange = exchange_of(name)
    depths = exchange.depths.get(kind, ())
    if not depths:
        raise SettingsError([f"{name} has no {kind} markets, expected {one_of(exchange.kinds)}"])
    for depth in depths:
        if depth >= levels:
            return depth
    raise SettingsError([f"{name} {kind} has no book of {levels} levels, expected at most {depths[-1]}"])


def supported_text(name: str | None = None) -> str:
    """List what this version collects, from one exchange or from all, for a message."""
    names = [name] if name is not None and is_known(name) else sorted(EXCHANGES)
    return "; ".join(_supported(each, exchange_of(each)) for each in names)


def _supported(name: str, exchange: Exchange) -> str:
    kinds = sorted(exchange.kinds) if exchange.is_verified else exchange.kinds
    return f"{name} {' and '.join(kinds)}: {', '.join(sorted(exchange.families))}"


def problems(exchange: Exchange) -> Iterator[str]:
    """Yield what contradicts itself in the facts of an exchange."""
    for environment, urls in exchange.addresses.own.items():
        for side in (urls.rest, urls.ws, exchange.addresses.replaced.rest, exchange.addresses.replaced.ws):
            if set(side) != set(exchange.kinds):
                yield f"{environment}: an address for each of {exchange.kinds} expected, found {set(side)}"
    if set(exchange.preferred) != set(exchange.kinds):
        yield f"preferred: {exchange.kinds} in some order expected, found {exchange.preferred}"
    for kind in exchange.kinds:
        yield from _problems_of_kind(exchange, kind)
    if exchange.is_verified and set(exchange.rest_limits) != set(exchange.kinds):
        yield f"limits of REST: each of {exchange.kinds} expected, found {set(exchange.rest_limits)}"
        return
    yield from _problems_of_history(exchange)


def _problems_of_kind(exchange: Exchange, kind: MarketKind) -> Iterator[str]:
    depths = exchange.depths[kind]
    if not isinstance(depths, range) and list(depths) != sorted(set(depths)):
        yield f"{kind}: depths in order expected, found {depths}"
    if kind not in exchange.limits.requests or kind not in exchange.limits.messages_a_second:
        yield f"{kind}: no limits"
        return
    deep = (depths[0], depths[-1]) if isinstance(depths, range) else depths
    books = (f"book.{depth}" for depth in deep)
    bars = (f"ohlcv.{interval}" for interval in exchange.intervals)
    same = {frozenset(pair) for pair in exchange.same_channels}
    found: dict[tuple[int, str], str] = {}
    for channel in (*books, BBO, TRADE, *bars):
        topic = exchange.topics.topic("A-B", "A/B", channel)
        place = exchange.addresses.index(kind, channel)
        if not all(place < len(urls.ws[kind]) for urls in exchange.addresses.own.values()):
            yield f"{kind} {channel}: no address {place}"
        if exchange.limits.expected_a_second(channel, kind) <= 0:
            yield f"{kind} {channel}: no messages are expected"
        other = found.setdefault((place, exchange.topics.route(topic)), channel)
        both_are_books = Channel.of(other).family == Channel.of(channel).family == BOOK
        if other != channel and not both_are_books and frozenset((other, channel)) not in same:
            yield f"{kind}: frames of {channel} and {other} cannot be told apart"


def _problems_of_history(exchange: Exchange) -> Iterator[str]:
    history = exchange.history
    if history is None:
        if exchange.is_verified:
            yield "no history"
        return
    for name, pasts in (("trades", history.trades), ("bars", history.bars)):
        if set(pasts) != set(exchange.kinds):
            yield f"history of {name}: each of {exchange.kinds} expected, found {set(pasts)}"
    if not set(history.single_trades) <= set(exchange.kinds):
        found = set(history.single_trades)
        yield f"history of single trades: some of {exchange.kinds} expected, found {found}"
    named = (("trades", history.trades), ("bars", history.bars), ("single trades", history.single_trades))
    for name, pasts in named:
        for kind, past in pasts.items():
            yield from (f"history of {name}, {kind}: {problem}" for problem in _problems_of_past(past))
            if past.budget not in exchange.rest_limits[kind].weight:
                yield f"history of {name}, {kind}: {past.budget} is not among the limits of REST"


def _problems_of_past(past: Past) -> Iterator[str]:
    limits = (one for one in (past.newest_rows, past.newest_days, past.widest_s) if one is not None)
    numbers = (past.rows, past.weight, past.budget.most, past.budget.span_s, *limits)
    if min(numbers) <= 0:
        yield f"numbers above 0 expected, found {numbers}"
    if past.weight > past.budget.most:
        yield f"a call of {past.weight} is more than {past.budget.most}"
    if past.paging is None and past.newest_rows is None:
        yield "neither paging nor how many rows there are"
    bounds = {"id": (past.from_id, past.to_id), "time": (past.since, past.until)}
    if past.paging is not None and not any(bounds[past.paging]):
        yield f"pages by {past.paging}, and no parameter that says from where"


def _check() -> None:
    found = [f"{name}: {problem}" for name, one in EXCHANGES.items() for problem in problems(one)]
    if found:
        raise ValueError("; ".join(found))


_check()
