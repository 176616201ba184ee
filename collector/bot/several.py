"""Read a config of several exchanges: what stands beside `exchanges` holds for each that does not say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, Final

from collector.errors import SettingsError
from collector.settings import nearest, shown

if TYPE_CHECKING:
    from collector.bot.config import DataIngestorConfig

OF_ONE: Final = ("symbol", "channels", "environment", "sandbox", "market", "endpoints", "data_source")
TWICE: Final = frozenset(
    {"orderbook_depth"}
)  # it also chooses the channel, which may differ from what is stored
EXAMPLE: Final = "{'bybit': {'symbol': 'BTCUSDT'}, 'kraken': {'symbol': 'BTC/USD'}}"


def split(config: "DataIngestorConfig", name: str) -> "list[DataIngestorConfig]":
    """Return a config for each exchange. Raises SettingsError with the mistakes of all of them."""
    if config.exchanges is None:
        return [config]
    problems = list(_problems(config, name))
    parts = []
    shared = {one.name: getattr(config, one.name) for one in fields(config) if one.name != "exchanges"}
    for exchange, own in {} if problems else config.exchanges.items():
        try:
            full = {"settings": dict(_of_exchange(config.settings, exchange))}
            parts.append(type(config)(**{**shared, **full, **own, "exchange": exchange}))
        except SettingsError as error:
            problems += [_placed(problem, exchange, name) for problem in error.problems]
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return parts


def conflicts(config: "DataIngestorConfig", places: Sequence[tuple[str, str]], name: str) -> Iterator[str]:
    """List the short keys that `settings` sets to something else by their full name."""
    defaults = {one.name: one.default for one in fields(config) if one.default is not MISSING}
    for short, path in places:
        value, full = getattr(config, short), config.settings.get(path)
        if short in TWICE or path not in config.settings or value == defaults.get(short):
            continue
        if _listed(value) != _listed(full):
            found = f"found {shown(value)}, and {shown(full)} under {path} in settings"
            yield f"{name}: {short}: {found}, expected one of the two"


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else list(value) if isinstance(value, tuple) else value


def _of_exchange(settings: Mapping[str, Any], exchange: str) -> Iterator[tuple[str, Any]]:
    """List the full keys that do not stand for another exchange."""
    for key, value in settings.items() if isinstance(settings, Mapping) else ():
        if not str(key).startswith("exchanges.") or str(key).startswith(f"exchanges.{exchange}."):
            yield key, value


def _problems(config: "DataIngestorConfig", name: str) -> Iterator[str]:
    expected = f"exchanges, each with its keys, like {EXAMPLE}"
    if not isinstance(config.exchanges, Mapping) or not config.exchanges:
        yield f"{name}: exchanges: found {shown(config.exchanges)}, expected {expected}"
        return
    defaults = {one.name: one.default for one in fields(config)}
    if config.exchange != defaults["exchange"]:
        found = f"found {shown(config.exchange)} and exchanges as well"
        yield f"{name}: exchange: {found}, expected one of the two"
    for exchange, own in config.exchanges.items():
        place = f"{name}: exchanges.{exchange}"
        if not isinstance(own, Mapping):
            yield f"{place}: found {shown(own)}, expected its keys, like {{'symbol': 'BTCUSDT'}}"
            continue
        for key in own:
            if key not in OF_ONE:
                close = nearest(str(key), OF_ONE) or f", expected one of {', '.join(OF_ONE)}"
                yield f"{place}: {shown(key)}: found a key that an exchange does not have{close}"
        if "symbol" not in own and config.symbol == defaults["symbol"]:
            yield f"{place}.symbol: found nothing, expected a market, or several"


def _placed(problem: str, exchange: str, name: str) -> str:
    """Say of a mistake of one exchange where it stands."""
    _, _, text = problem.partition(f"{name}: ")
    key = text.partition(":")[0].partition("[")[0].partition(".")[0]
    if key == "exchange":
        return f"{name}: exchanges: {text.partition(': ')[2]}"
    return f"{name}: exchanges.{exchange}.{text}" if key in OF_ONE else problem
