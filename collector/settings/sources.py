"""Read each of the four sources of values into a layer: file, `.env`, environment, caller."""

import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from collector.exchanges import DEFAULT_EXCHANGE
from collector.masking import names_a_secret, passwords_in
from collector.nearest import did_you_mean
from collector.settings.keys import KEYS, SECTIONS, KeyPath, dotted, generic
from collector.settings.layers import Found, Layer, Place, Problem, listed
from collector.settings.plain import PLAIN_EXCHANGE, PLAIN_SYMBOLS
from collector.settings.yaml_file import Located, UnreadableError, read_small_text, read_yaml

PREFIX = "COLLECTOR_"
OF_EXCHANGES = f"{PREFIX}EXCHANGES"
SERVE_TOKEN = f"{PREFIX}SERVE__TOKEN"
SHORTEST_TOKEN = 16
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+", re.ASCII)  # what RFC 6750 lets a bearer's token be
TOKEN_WORDS = f"at least {SHORTEST_TOKEN} letters, digits and ._~+/=-, as `openssl rand -hex 24` prints"
FILE, ENV_FILE, ENVIRONMENT, CALLER = range(4)  # each outranks those before it

_DATABASE_URL: KeyPath = ("database", "url")
_FOLLOWERS: KeyPath = ("followers",)

Variables = dict[str, Found]


def from_file(path: Path) -> Layer:
    """Read a YAML file into a layer."""
    layer = Layer()
    place = Place(FILE, 0, str(path))
    read = read_yaml(path)
    for line, text in read.mistakes:
        layer.refuse(place.at(line), (), text)
    if read.root is not None:
        layer.take((), read.root, place)
    for key, variable in ((_DATABASE_URL, "DATABASE__URL"), (_FOLLOWERS, "FOLLOWERS")):
        found = layer.keys.get(key)
        if found is not None and any(map(passwords_in, _texts_in(found.value))):
            text = f"found a password in it (not shown), expected the URL in {PREFIX}{variable} instead"
            layer.refuse(found.place, key, text)
    return layer


def _texts_in(value: object) -> Iterator[str]:
    """Yield every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | tuple | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts_in(inner)


def env_file_variables(path: Path, *, must_exist: bool) -> tuple[Variables, list[Problem]]:
    """Read the variables of a `.env` file."""
    variables: Variables = {}
    layer = Layer()
    place = Place(ENV_FILE, 0, str(path))
    text = ""
    try:
        text = read_small_text(path, "lines of NAME=value")
    except FileNotFoundError:
        if must_exist:
            layer.refuse(place, (), "no such file, expected lines of NAME=value")
    except UnreadableError as error:
        layer.refuse(place, (), str(error))
    for binding in parse_stream(StringIO(text)):
        blank = len(binding.original.string) - len(binding.original.string.lstrip())
        there = place.at(binding.original.line + binding.original.string[:blank].count("\n"))
        if binding.error:
            layer.refuse(there, (), "found a line that cannot be read, expected NAME=value")
        elif binding.key is not None:
            variables[binding.key] = Found(binding.value or "", there)
    return variables, layer.problems


def environment_variables(environ: Mapping[str, str]) -> Variables:
    """Return the variables of the environment, each with its place."""
    return {
        name: Found(text, Place(ENVIRONMENT, 0, f"environment variable {name}"))
        for name, text in environ.items()
    }


def from_variables(variables: Variables, *, of_exchanges: bool = True) -> Layer:
    """Read the collector's variables into a layer; without `of_exchanges`, skip those on what to collect."""
    layer = Layer()
    for name, found in variables.items():
        text = str(found.value)
        if of_exchanges and name == PLAIN_SYMBOLS and text.strip():
            layer.symbols = Found(listed(text), found.place)
        if of_exchanges and name == PLAIN_EXCHANGE and text.strip():
            layer.exchange = Found(text.strip().lower(), found.place)
        if not name.upper().startswith(PREFIX):
            continue
        if not of_exchanges and name.upper().startswith(OF_EXCHANGES):
            continue
        if name.upper() == SERVE_TOKEN:  # a secret: see `token_of`
            continue
        path: KeyPath = tuple(name[len(PREFIX) :].lower().split("__"))
        known = generic(path)
        if path in layer.keys:
            also = layer.keys[path].place
            layer.refuse(found.place, path, f"found a second time ({also}), expected it once")
        elif known in KEYS or known in SECTIONS or names_a_secret(path[-1]):
            layer.take(path, Located(text), found.place, as_text=True)
        else:
            layer.refuse(found.place, (), f"found a variable that sets no key{_nearest_variable(path)}")
    return layer


def token_of(variables: Variables, problems: list[Problem]) -> str | None:
    """Return the token that requests from elsewhere must bring; None where there is none."""
    found = next((found for name, found in variables.items() if name.upper() == SERVE_TOKEN), None)
    token = "" if found is None else str(found.value).strip()
    if found is None or not token:
        return None
    if len(token) < SHORTEST_TOKEN or not TOKEN.fullmatch(token):
        text = f"found a token (not shown) that is too short, or has other characters, expected {TOKEN_WORDS}"
        problems.append(Problem(found.place, dotted(("serve", "token")), text))
        return None
    return token


def _nearest_variable(path: KeyPath) -> str:
    exchange = str(path[1]) if path[0] == "exchanges" and len(path) > 1 else DEFAULT_EXCHANGE
    known = ["__".join(exchange if name == "*" else str(name) for name in key) for key in KEYS]
    close = did_you_mean("__".join(map(str, path)), known, word=lambda name: PREFIX + name.upper())
    return close or f", expected {PREFIX} and a key's path, like {PREFIX}DATABASE__URL"


def from_caller(overrides: Mapping[str, object], name: str) -> Layer:
    """Read the caller's overrides into a layer: dotted keys with text, values or whole sections."""
    layer = Layer()
    place = Place(CALLER, 0, name)
    for key, value in overrides.items():
        if key == PLAIN_SYMBOLS.lower():
            layer.symbols = Found(listed(value) if isinstance(value, str) else _tupled(value), place)
        elif key == "channels":
            layer.channels = Found(listed(value) if isinstance(value, str) else _tupled(value), place)
        elif key == PLAIN_EXCHANGE.lower():
            layer.exchange = Found(value.lower() if isinstance(value, str) else value, place)
        else:
            layer.take(tuple(key.split(".")), _located(value), place, as_text=True)
    return layer


def _tupled(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _located(value: object) -> Located:
    if isinstance(value, Mapping):
        return Located({str(name): _located(inner) for name, inner in value.items()})
    return Located(value)
