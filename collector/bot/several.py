"""Read a config of several exchanges: what stands beside `exchanges` holds for each that does not say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from collector.errors import SettingsError
from collector.settings import nearest, shown

OF_ONE: Final = ("symbol", "channels", "environment", "sandbox", "market", "endpoints", "data_source")
TWICE: Final = frozenset({"orderbook_depth"})  # it also chooses the channel: what is stored may differ
EXAMPLE: Final = "{'bybit': {'symbol': 'BTCUSDT'}, 'kraken': {'symbol': 'BTC/USD'}}"

Values = Mapping[str, Any]  # by short key
Config = TypeVar("Config")


def split(values: Values, defaults: Values, make: Callable[..., Config], name: str) -> list[Config]:
    """Make a config of each exchange. Raises SettingsError with the mistakes of all of them."""
    problems = list(_problems(values, defaults, name))
    parts = []
    for exchange, own in {} if problems else values["exchanges"].items():
        of_all = {key: value for key, value in values.items() if key != "exchanges"}
        settings = dict(_of_exchange(values["settings"], exchange))
        try:
            parts.append(make(**{**of_all, "settings": settings, **own, "exchange": exchange}))
        except SettingsError as error:
            problems += [_placed(problem, exchange, name) for problem in error.problems]
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return parts


def conflicts(
    values: Values, defaults: Values, places: Sequence[tuple[str, str]], name: str
) -> Iterator[str]:
    """List the short keys that `settings` sets to something else by their full name."""
    for short, path in places:
        value, full = values[short], values["settings"].get(path)
        if short in TWICE or path not in values["settings"] or value == defaults[short]:
            continue
        if _listed(value) != _listed(full):
            found = f"found {shown(value)}, and {shown(full)} under {path} in settings"
            yield f"{name}: {short}: {found}, expected one of the two"


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else list(value) if isinstance(value, tuple) else value


def _of_exchange(settings: Any, exchange: str) -> Iterator[tuple[str, Any]]:
    """List the full keys that do not stand for another exchange."""
    for key, value in settings.items() if isinstance(settings, Mapping) else ():
        if not str(key).startswith("exchanges.") or str(key).startswith(f"exchanges.{exchange}."):
            yield key, value


def _problems(values: Values, defaults: Values, name: str) -> Iterator[str]:
    exchanges = values["exchanges"]
    if not isinstance(exchanges, Mapping) or not exchanges:
        expected = f"exchanges, each with its keys, like {EXAMPLE}"
        yield f"{name}: exchanges: found {shown(exchanges)}, expected {expected}"
        return
    if values["exchange"] != defaults["exchange"]:
        found = f"found {shown(values['exchange'])} and exchanges as well"
        yield f"{name}: exchange: {found}, expected one of the two"
    for exchange, own in exchanges.items():
        place = f"{name}: exchanges.{exchange}"
        if not isinstance(own, Mapping):
            yield f"{place}: found {shown(own)}, expected its keys, like {{'symbol': 'BTCUSDT'}}"
            continue
        for key in own:
            if key not in OF_ONE:
                close = nearest(str(key), OF_ONE) or f", expected one of {', '.join(OF_ONE)}"
                yield f"{place}: {shown(key)}: found a key that an exchange does not have{close}"
        if "symbol" not in own and values["symbol"] == defaults["symbol"]:
            yield f"{place}.symbol: found nothing, expected a market, or several"


def _placed(problem: str, exchange: str, name: str) -> str:
    """Say of a mistake of one exchange where it stands."""
    _, _, text = problem.partition(f"{name}: ")
    key = text.partition(":")[0].partition("[")[0].partition(".")[0]
    if key == "exchange":
        return f"{name}: exchanges: {text.partition(': ')[2]}"
    return f"{name}: exchanges.{exchange}.{text}" if key in OF_ONE else problem
