"""Merge the layers of all sources, and check the result."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr, ValidationError

from collector.errors import SettingsError
from collector.exchanges import default_channel, default_markets, is_known, one_kind
from collector.settings.checks import contradictions
from collector.settings.keys import ANY_EXCHANGE, KEYS, KeyPath, dotted, generic, key_of, nearest
from collector.settings.layers import DEFAULT, Found, Layer, Place, Problem, shown
from collector.settings.model import Settings
from collector.settings.plain import (
    PLAIN_EXCHANGE,
    PLAIN_SYMBOLS,
    Notes,
    implied_exchange,
    testnets,
    unknown_exchange,
)
from collector.settings.sources import CALLER, FILE, Variables

SYMBOLS: KeyPath = ("exchanges", ANY_EXCHANGE, "symbols")
UNIVERSE: KeyPath = ("exchanges", ANY_EXCHANGE, "universe", "top")

_Tree = dict[Any, Any]  # nested to a depth that the models know


class Merged:
    """The merged layers, with the problems of the result."""

    def __init__(self, layers: list[Layer], variables: Variables, *, default_setup: bool) -> None:
        self.problems: list[Problem] = []
        self.keys: dict[KeyPath, Found] = {}
        self.exchanges: dict[str, Place] = {}
        self.on_testnet: set[str] = set()  # by the exchange's plain variable
        self._variables = variables
        self._why = ""
        self._only = self._chosen(layers)
        for layer in layers:
            self.exchanges |= layer.exchanges
        for layer in layers:
            if layer.symbols is not None:
                self._place_symbols(layer.symbols)
            self.keys |= layer.keys
        says_what = any(generic(path) in (SYMBOLS, UNIVERSE) for path in self.keys) or layers[FILE].exchanges
        self._is_default_setup = default_setup and not says_what and not self.problems
        if self._is_default_setup:
            self._set_default_markets()
        self._check_only()
        self._without_effect = tuple(self._set_testnets())
        self._set_channels(layers[CALLER].channels)

    @property
    def notes(self) -> Notes:
        """Notes for a person."""
        return Notes(self._is_default_setup, self._why, self._without_effect)

    @property
    def wanted(self) -> list[str]:
        """The names of the exchanges that are collected."""
        return [name for name in self.exchanges if self._only is None or name == self._only.value]

    def _chosen(self, layers: list[Layer]) -> Found | None:
        """Return the only exchange to collect, if a source chooses one."""
        chosen = next((layer.exchange for layer in reversed(layers) if layer.exchange is not None), None)
        problem = unknown_exchange(chosen) if chosen is not None else None
        if problem is not None:
            self.problems.append(problem)
        return chosen

    def _meant(self) -> str:
        """Return the exchange of markets that are named without one."""
        if self._only is not None:
            self._why = f"{PLAIN_EXCHANGE} is set" if self._only.place.rank < CALLER else ""
            return str(self._only.value)
        if self.exchanges:
            return next(iter(self.exchanges))
        implied = implied_exchange(self._variables)
        self._why = implied.why
        return implied.exchange

    def _place_symbols(self, symbols: Found) -> None:
        """Assign plain SYMBOLS to the chosen exchange, the only configured one, or the default one."""
        if self._only is None and len(self.exchanges) > 1:
            names = ", ".join(dotted((name,)) for name in self.exchanges)
            text = (
                f"found {PLAIN_SYMBOLS} and {len(self.exchanges)} exchanges ({names}), "
                f"expected one: choose it by {PLAIN_EXCHANGE}, "
                "or name it, like COLLECTOR_EXCHANGES__BYBIT__SYMBOLS"
            )
            self.problems.append(Problem(symbols.place, "", text))
            return
        exchange = self._meant()
        if not is_known(exchange):
            return  # told already
        self.exchanges.setdefault(exchange, symbols.place)
        self.keys["exchanges", exchange, "symbols"] = symbols
        self.keys.pop(("exchanges", exchange, "universe", "top"), None)  # these markets, and no others

    def _set_default_markets(self) -> None:
        """Set an exchange's default markets; none if several exchanges are configured and none is chosen."""
        if self._only is None and len(self.exchanges) > 1:
            return
        exchange = self._meant()
        market = self.keys.get(("exchanges", exchange, "market"))
        place = self._only.place if self._only is not None else DEFAULT
        try:
            names = default_markets(exchange, one_kind(market.value if market is not None else None))
        except SettingsError:
            text = f"found {exchange!r} and no market, expected some: with --symbols, or by {PLAIN_SYMBOLS}"
            self.problems.append(Problem(place, "exchange", text))
            return
        self.exchanges.setdefault(exchange, place)
        self.keys["exchanges", exchange, "symbols"] = Found(names, DEFAULT)

    def _check_only(self) -> None:
        """Add a problem if the chosen exchange is not among those that are configured."""
        if self._only is None or self.problems or not self.exchanges or self.wanted:
            return
        name = self._only.value
        text = (
            f"found {name!r}, which is not configured: name its markets with --symbols, by {PLAIN_SYMBOLS}, "
            f"or exchanges.{name}.symbols in a file for --config"
        )
        self.problems.append(Problem(self._only.place, "exchange", text))

    def _set_testnets(self) -> Iterator[str]:
        """Set the testnet of exchanges whose variable chooses it; yield a text for each without effect."""
        for testnet in testnets(self.wanted, self.keys, self._variables):
            if testnet.problem is not None:
                self.problems.append(testnet.problem)
            if testnet.environment is not None:
                self.keys["exchanges", testnet.exchange, "environment"] = testnet.environment
                self.on_testnet.add(testnet.exchange)
            if testnet.without_effect:
                yield testnet.without_effect

    def _set_channels(self, channels: Found | None) -> None:
        """Set the channels: the caller's, or else the smallest book with the default number of levels."""
        for exchange in self.exchanges:
            path: KeyPath = ("exchanges", exchange, "channels")
            if channels is not None and exchange in self.wanted:
                self.keys[path] = channels
            names, market = self.keys.get((*path[:2], "symbols")), self.keys.get((*path[:2], "market"))
            if path in self.keys or not is_known(exchange):
                continue
            kind = one_kind(market.value if market is not None else None)
            texts = names.value if names is not None and isinstance(names.value, tuple) else ()
            has_universe = (*path[:2], "universe", "top") in self.keys
            ranked = ["PLAIN"] if has_universe else []  # of the kind that a plain name means
            channel = default_channel(exchange, [*ranked, *(str(one) for one in texts)], kind)
            self.keys[path] = Found((channel,), DEFAULT)

    def settings(self, credentials: Mapping[str, Mapping[str, str]], token: str | None = None) -> Settings:
        """Return the settings; add a problem for each refused value, which keeps its default."""
        bad: set[KeyPath] = set()
        try:
            settings = Settings.model_validate(self._tree(credentials, token, bad))
        except ValidationError as error:
            for details in error.errors(include_url=False, include_context=False, include_input=False):
                bad.add(self._refuse(details["loc"]))
            settings = Settings.model_validate(self._tree(credentials, token, bad))
        for contradiction in contradictions(settings):
            keys = [key_of(path) for path in contradiction.paths]
            section, *names = keys[0]
            if section == "exchanges" and self._only is not None and names[0] not in self.wanted:
                continue  # nobody collects from there now
            if not bad.intersection(keys):
                place = max(self._place(path) for path in keys)
                self.problems.append(Problem(place, dotted(contradiction.paths[0]), contradiction.text))
        if self._only is None:
            return settings
        wanted = {name: settings.exchanges[name] for name in self.wanted if name in settings.exchanges}
        return settings.model_copy(update={"exchanges": MappingProxyType(wanted)})

    def _tree(
        self, credentials: Mapping[str, Mapping[str, str]], token: str | None, bad: set[KeyPath]
    ) -> _Tree:
        exchanges: _Tree = {name: {} for name in self.exchanges}
        for name, pair in credentials.items():
            exchanges[name]["credentials"] = dict(pair)
        tree: _Tree = {"exchanges": exchanges}
        if token is not None:
            tree["serve"] = {"token": SecretStr(token)}
        for path, found in self.keys.items():
            if path in bad:
                continue
            section = tree
            for part in path[:-1]:
                section = section.setdefault(part, {})
            section[path[-1]] = found.value
        return tree

    def _refuse(self, location: tuple[int | str, ...]) -> KeyPath:
        """Add a problem for a value that pydantic refuses, and return the value's key."""
        key = key_of(location)
        known = KEYS[generic(key)]
        found = self.keys[key]
        value, expected = found.value, known.expected
        if len(location) > len(key) and isinstance(value, tuple):
            item, *inner = location[len(key) :]
            value, expected = _inside(value[int(item)], tuple(inner)), known.expected_item
        elif known.holds_a_mapping:
            value = _inside(value, location[len(key) :])
        close = nearest(value, known.choices) if isinstance(value, str) else ""
        self.problems.append(
            Problem(found.place, dotted(location), f"found {shown(value)}, expected {expected}{close}")
        )
        return key

    def _place(self, path: KeyPath) -> Place:
        if path in self.keys:
            return self.keys[path].place
        if path[0] == "exchanges":
            return self.exchanges.get(str(path[1]), DEFAULT)
        return DEFAULT


def _inside(value: object, path: KeyPath) -> object:
    """Return the value at a path within a mapping; None if there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def credentials_of(
    merged: Merged, variables: Variables, problems: list[Problem]
) -> dict[str, dict[str, str]]:
    """Return each exchange's key and secret for its environment: BYBIT_API_KEY or BYBIT_TESTNET_API_KEY."""
    credentials: dict[str, dict[str, str]] = {}
    for exchange in merged.exchanges:
        chosen = merged.keys.get(("exchanges", exchange, "environment"))
        environment = "live" if chosen is None else str(chosen.value)
        prefix = exchange.upper() if environment == "live" else f"{exchange}_{environment}".upper()
        pair = _pair(prefix, variables)
        if not pair and exchange in merged.on_testnet:
            prefix = exchange.upper()
            pair = _pair(prefix, variables)
        if len(pair) == 1:
            ((name, found),) = pair.items()
            missing = "API_SECRET" if name == "api_key" else "API_KEY"
            text = f"found {prefix}_{name.upper()} alone, expected {prefix}_{missing} as well, or neither"
            problems.append(Problem(found.place, dotted(("exchanges", exchange)), text))
        elif pair:
            credentials[exchange] = {name: str(found.value).strip() for name, found in pair.items()}
    return credentials


def _pair(prefix: str, variables: Variables) -> dict[str, Found]:
    return {
        name: found
        for name in ("api_key", "api_secret")
        if (found := variables.get(f"{prefix}_{name.upper()}")) and str(found.value).strip()
    }
