"""Register every exchange, a line each, and look them up. A contradiction in their facts stops the import."""

from collector.errors import SettingsError, UserError
from collector.events import length_s
from collector.exchanges.binance import BINANCE
from collector.exchanges.bybit import BYBIT
from collector.exchanges.contradictions import problems, problems_of_package
from collector.exchanges.exchange import Environment, Exchange, MarketKind, one_of
from collector.exchanges.kraken import KRAKEN
from collector.exchanges.okx import OKX
from collector.exchanges.unverified import CCXT_NAMES, UNVERIFIED
from collector.plugins import Plugins

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
CURRENCY_ALIASES: dict[str, str] = {
    ours: theirs for one in EXCHANGES.values() for ours, theirs in one.currency_aliases.items()
}


def register_exchange(exchange: Exchange) -> None:
    """Add an exchange of one's own, as a plug-in does; docs/plugins.md says what it takes.

    Raises UserError with what contradicts itself in its facts, or for a name that another has.
    """
    if not isinstance(exchange, Exchange):
        raise UserError(f"found {type(exchange).__name__}, expected an Exchange")
    if EXCHANGES.get(exchange.name, exchange) is not exchange:
        raise UserError(f"an exchange {exchange.name!r} is registered already, expected another name")
    try:
        found = [*problems(exchange), *problems_of_package(exchange)]
    except Exception as error:  # noqa: BLE001  (facts of whatever form)
        found = [f"the facts cannot be checked: {error!r}"]
    if found:
        raise UserError("; ".join(found))
    EXCHANGES[exchange.name] = exchange
    CURRENCY_ALIASES.update(exchange.currency_aliases)


def unregister_exchange(name: str) -> None:
    """Remove an exchange of one's own. Idempotent."""
    if name in EXCHANGES and EXCHANGES[name].package:
        del EXCHANGES[name]


def _take_plugin(name: str, found: object) -> None:
    if isinstance(found, Exchange) and found.name != name:
        raise UserError(f"found an exchange of the name {found.name!r}, expected that of its entry point")
    register_exchange(found)  # type: ignore[arg-type]  # refused where it is something else


PLUGINS = Plugins("collector.exchanges", _take_plugin)


def plugin_problem(name: str) -> str | None:
    """Return what is wrong with the plug-in of an exchange of this name; None if nothing is, or none is."""
    return None if name in EXCHANGES else PLUGINS.problem(name)


def is_registered(name: str) -> bool:
    """Return whether an exchange is known without a look at plug-ins: ours, ccxt's, or one loaded already."""
    return name in EXCHANGES or name in UNVERIFIED_NAMES


def is_known(name: str) -> bool:
    """Return whether an exchange can be collected, verified or not; load the plug-in that brings it."""
    return plugin_problem(name) is None and is_registered(name)


def exchange_of(name: str) -> Exchange:
    """Return the facts of an exchange; SettingsError with the known names if it is not one."""
    if not isinstance(name, str):
        raise SettingsError([f"exchange is {name!r}, expected its name, like {DEFAULT_EXCHANGE!r}"])
    problem = plugin_problem(name)
    if problem is not None:
        raise SettingsError([problem])
    if name in EXCHANGES:
        return EXCHANGES[name]
    if name in UNVERIFIED_NAMES:
        return UNVERIFIED
    raise SettingsError([f"exchange {name!r} is not known, expected one of {', '.join(EXCHANGES)}"])


def ccxt_id_of(name: str) -> str:
    """Return what ccxt calls an exchange."""
    return exchange_of(name).ccxt_id or name


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


def _check() -> None:
    found = [f"{name}: {problem}" for name, one in EXCHANGES.items() for problem in problems(one)]
    if found:
        raise ValueError("; ".join(found))


_check()
