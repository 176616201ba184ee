"""Read the variables without a path: EXCHANGE, an exchange's keys, and <EXCHANGE>_TESTNET."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from collector.exchanges import (
    DEFAULT_EXCHANGE,
    EXCHANGES,
    UNVERIFIED_NAMES,
    environment_problem,
    is_known,
    one_of,
)
from collector.nearest import did_you_mean
from collector.settings.keys import KeyPath, dotted
from collector.settings.layers import Found, Problem, shown

PLAIN_SYMBOLS = "SYMBOLS"
PLAIN_EXCHANGE = "EXCHANGE"

Variables = Mapping[str, Found]


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes for a person on where the settings come from."""

    is_default_setup: bool = False  # nobody named a market: the exchange's default markets are collected
    why: str = ""  # why this exchange
    without_effect: tuple[str, ...] = ()  # variables that are set and change nothing, each with its reason


@dataclass(frozen=True, slots=True)
class Implied:
    """The exchange that is collected if none is named, and why."""

    exchange: str
    why: str = ""


def implied_exchange(variables: Variables) -> Implied:
    """Return the exchange whose keys are set, if they are of exactly one; else the default one."""
    with_keys = {name: key for name in EXCHANGES if (key := _key_variable(name, variables)) is not None}
    if len(with_keys) == 1:
        ((name, key),) = with_keys.items()
        return Implied(name, f"{key} is set")
    if with_keys:
        keys = " and ".join(with_keys.values())
        return Implied(DEFAULT_EXCHANGE, f"{keys} are set, which choose none: {PLAIN_EXCHANGE}=<name> does")
    return Implied(DEFAULT_EXCHANGE)


def _key_variable(exchange: str, variables: Variables) -> str | None:
    """Return the name of the variable that holds a key of an exchange; None if none does."""
    names = [f"{exchange.upper()}_API_KEY"]
    if _text(variables, testnet_variable(exchange)) == "true":
        names.insert(0, f"{exchange.upper()}_TESTNET_API_KEY")
    return next((name for name in names if _text(variables, name)), None)


def unknown_exchange(chosen: Found) -> Problem | None:
    """Return a problem if the chosen exchange is not known; else None."""
    name = chosen.value
    if isinstance(name, str) and is_known(name):
        return None
    close = did_you_mean(name, [*EXCHANGES, *sorted(UNVERIFIED_NAMES)]) if isinstance(name, str) else ""
    expected = f"expected {one_of(list(EXCHANGES))}, or another of ccxt.pro's"
    return Problem(chosen.place, "exchange", f"found {shown(name)}, {expected}{close}")


def testnet_variable(exchange: str) -> str:
    """Return the name of the variable that chooses an exchange's testnet."""
    return f"{exchange.upper()}_TESTNET"


@dataclass(frozen=True, slots=True)
class Testnet:
    """The effect of one exchange's testnet variable."""

    exchange: str
    environment: Found | None = None  # to be set
    problem: Problem | None = None
    without_effect: str = ""


def testnets(
    exchanges: Iterable[str], keys: Mapping[KeyPath, Found], variables: Variables
) -> Iterator[Testnet]:
    """Yield the effect of each `<EXCHANGE>_TESTNET` that is set, of collected and of known exchanges."""
    collected = tuple(exchanges)
    for exchange in dict.fromkeys([*collected, *EXCHANGES]):
        name = testnet_variable(exchange)
        found, text = variables.get(name), _text(variables, name)
        if found is None or not text:
            continue
        found_text = f"found {name}={str(found.value).strip()[:20]}"
        if text not in ("true", "false"):
            yield Testnet(exchange, problem=Problem(found.place, "", f"{found_text}, expected true or false"))
        elif exchange not in collected:
            yield Testnet(exchange, without_effect=f"{name} has no effect: {exchange} is not collected")
        else:
            yield _of_collected(exchange, found, keys, found_text, wanted=text == "true")


def _of_collected(
    exchange: str, found: Found, keys: Mapping[KeyPath, Found], found_text: str, *, wanted: bool
) -> Testnet:
    path: KeyPath = ("exchanges", exchange, "environment")
    elsewhere = keys.get(path)
    none_there = environment_problem(exchange, "testnet") if wanted and is_known(exchange) else None
    if none_there is not None:
        return Testnet(exchange, problem=Problem(found.place, "", f"{found_text}, but {none_there}"))
    if elsewhere is not None:
        if elsewhere.value in ("live", "testnet", "demo") and (elsewhere.value == "testnet") != wanted:
            text = (
                f"{found_text}, but {dotted(path)} is {elsewhere.value!r} ({elsewhere.place}), "
                "expected both to say the same, or one of them"
            )
            return Testnet(exchange, problem=Problem(found.place, "", text))
        return Testnet(exchange)
    return Testnet(exchange, environment=Found("testnet", found.place) if wanted else None)


def _text(variables: Variables, name: str) -> str:
    found = variables.get(name)
    return "" if found is None else str(found.value).strip().lower()
