"""Put the sources together and check the whole, telling every mistake at once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collector.errors import SettingsError
from collector.exchanges.venues import VENUES
from collector.settings.checks import contradictions
from collector.settings.keys import KEYS, KeyPath, dotted, generic, key_of, nearest
from collector.settings.layers import DEFAULT, Found, Layer, Place, Problem, shown
from collector.settings.model import Settings
from collector.settings.secrets import without
from collector.settings.sources import (
    DEFAULT_EXCHANGE,
    PLAIN_SYMBOLS,
    Variables,
    env_file_variables,
    environment_variables,
    from_caller,
    from_file,
    from_variables,
)

DEFAULT_ENV_FILE = Path(".env")
MOST_TOLD = 100  # nobody reads more at once

_Tree = dict[Any, Any]  # nested to a depth that the models know


def load_settings(
    path: Path | None = None,
    *,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = DEFAULT_ENV_FILE,
    overrides_name: str = "command line",
) -> Settings:
    """Return the settings: overrides before environment, before `.env`, before file, before defaults.

    `overrides` has dotted keys (`{"database.url": ...}`, or `symbols` for the one exchange meant), and
    `overrides_name` is what messages call it. A missing `.env` in the working directory is no mistake.
    Raises SettingsError with every problem found.
    """
    dotenv: Variables = {}
    problems: list[Problem] = []
    if env_file is not None:
        dotenv, problems = env_file_variables(env_file, must_exist=env_file != DEFAULT_ENV_FILE)
    environment = environment_variables(os.environ if environ is None else environ)
    layers = [
        from_file(path) if path is not None else Layer(),
        from_variables(dotenv),
        from_variables(environment),
        from_caller(overrides or {}, overrides_name),
    ]
    variables = dotenv | environment
    merged = _Merged(layers)
    problems += [problem for layer in layers for problem in layer.problems]
    settings = merged.settings(_credentials(merged, variables, problems))
    problems += merged.problems
    if problems:
        secrets = {str(found.value).strip() for name, found in variables.items() if _holds_a_secret(name)}
        in_order = sorted(problems, key=lambda problem: problem.place)
        told = [without(str(problem), secrets) for problem in in_order[:MOST_TOLD]]
        if len(problems) > MOST_TOLD:
            told.append(f"and {len(problems) - MOST_TOLD} more: mend these first")
        raise SettingsError(told)
    return settings


class _Merged:
    """The layers put together; finds the problems of the whole."""

    def __init__(self, layers: list[Layer]) -> None:
        self.problems: list[Problem] = []
        self.keys: dict[KeyPath, Found] = {}
        self.exchanges: dict[str, Place] = {}
        for layer in layers:
            self.exchanges |= layer.exchanges
        for layer in layers:
            if layer.symbols is not None:
                self._place_symbols(layer.symbols)
            self.keys |= layer.keys

    def _place_symbols(self, symbols: Found) -> None:
        """Give plain SYMBOLS to the one exchange there is, or to the default one."""
        if len(self.exchanges) > 1:
            names = ", ".join(dotted((name,)) for name in self.exchanges)
            text = (
                f"found {PLAIN_SYMBOLS} and {len(self.exchanges)} exchanges ({names}), "
                "expected one: name the exchange, like COLLECTOR_EXCHANGES__BYBIT__SYMBOLS"
            )
            self.problems.append(Problem(symbols.place, "", text))
            return
        exchange = next(iter(self.exchanges), DEFAULT_EXCHANGE)
        self.exchanges.setdefault(exchange, symbols.place)
        self.keys["exchanges", exchange, "symbols"] = symbols

    def settings(self, credentials: Mapping[str, Mapping[str, str]]) -> Settings:
        """Return the settings; a value that cannot stand is told in `problems` and left at its default."""
        bad: set[KeyPath] = set()
        try:
            settings = Settings.model_validate(self._tree(credentials, bad))
        except ValidationError as error:
            for details in error.errors(include_url=False, include_context=False, include_input=False):
                bad.add(self._refuse(details["loc"]))
            settings = Settings.model_validate(self._tree(credentials, bad))
        for contradiction in contradictions(settings):
            keys = [key_of(path) for path in contradiction.paths]
            if not bad.intersection(keys):
                place = max(self._place(path) for path in keys)
                self.problems.append(Problem(place, dotted(contradiction.paths[0]), contradiction.text))
        return settings

    def _tree(self, credentials: Mapping[str, Mapping[str, str]], bad: set[KeyPath]) -> _Tree:
        exchanges: _Tree = {name: {} for name in self.exchanges}
        for name, pair in credentials.items():
            exchanges[name]["credentials"] = dict(pair)
        tree: _Tree = {"exchanges": exchanges}
        for path, found in self.keys.items():
            if path in bad:
                continue
            section = tree
            for part in path[:-1]:
                section = section.setdefault(part, {})
            section[path[-1]] = found.value
        return tree

    def _refuse(self, location: tuple[int | str, ...]) -> KeyPath:
        """Word pydantic's complaint about a value in our own terms, and return the value's key."""
        key = key_of(location)
        known = KEYS[generic(key)]
        found = self.keys[key]
        value, expected = found.value, known.expected
        if len(location) > len(key) and isinstance(value, tuple):
            value, expected = value[int(location[-1])], known.expected_item
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
    """Return what stands at a path within a mapping; None where nothing does."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _credentials(merged: _Merged, variables: Variables, problems: list[Problem]) -> dict[str, dict[str, str]]:
    """Find each exchange's key and secret for its environment, BYBIT_API_KEY or BYBIT_TESTNET_API_KEY."""
    credentials: dict[str, dict[str, str]] = {}
    for exchange in merged.exchanges:
        chosen = merged.keys.get(("exchanges", exchange, "environment"))
        environment = "live" if chosen is None else str(chosen.value)
        prefix = exchange.upper() if environment == "live" else f"{exchange}_{environment}".upper()
        pair = {
            name: found
            for name in ("api_key", "api_secret")
            if (found := variables.get(f"{prefix}_{name.upper()}")) and str(found.value).strip()
        }
        if len(pair) == 1:
            ((name, found),) = pair.items()
            missing = "API_SECRET" if name == "api_key" else "API_KEY"
            text = f"found {prefix}_{name.upper()} alone, expected {prefix}_{missing} as well, or neither"
            problems.append(Problem(found.place, dotted(("exchanges", exchange)), text))
        elif pair:
            credentials[exchange] = {name: str(found.value).strip() for name, found in pair.items()}
    return credentials


def _holds_a_secret(variable: str) -> bool:
    exchanges = tuple(f"{exchange.upper()}_" for exchange in VENUES)
    return variable.upper().startswith(exchanges) and variable.upper().endswith(("_API_KEY", "_API_SECRET"))
