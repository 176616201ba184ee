"""Collect the values of one source by key, each with the place where it was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.exchanges import DEFAULT_EXCHANGE
from collector.masking import mask_url, names_a_secret
from collector.settings.elsewhere import SERVE_TOKEN, found_elsewhere, is_section_elsewhere
from collector.settings.keys import KEYS, SECTIONS, Key, KeyPath, dotted, generic, nearest_key
from collector.settings.yaml_file import Located, plain

_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something was found. Places sort by the rank of their source, then by line."""

    rank: int
    line: int
    source: str

    def __str__(self) -> str:
        """Return it as text: `live.yaml line 3`."""
        return f"{self.source} line {self.line}" if self.line else self.source

    def at(self, line: int) -> "Place":
        """Return the place of a line of the same source."""
        return Place(self.rank, line, self.source) if line else self


DEFAULT = Place(-1, 0, "default")


@dataclass(frozen=True, slots=True)
class Found:
    """A value and its place."""

    value: object
    place: Place


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration."""

    place: Place
    key: str
    text: str

    def __str__(self) -> str:
        """Return it as text: place, key, what was found and what was expected."""
        return ": ".join(part for part in (str(self.place), self.key, self.text) if part)


@dataclass(slots=True)
class Layer:
    """The values that one source sets, and its mistakes."""

    keys: dict[KeyPath, Found] = field(default_factory=dict)
    exchanges: dict[str, Place] = field(default_factory=dict)
    symbols: Found | None = None  # plain SYMBOLS, of whichever exchange is meant
    exchange: Found | None = None  # plain EXCHANGE: which one is meant, and no other
    channels: Found | None = None  # for every exchange that is collected
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, place: Place, path: KeyPath, text: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(place, dotted(path), text))

    def take(self, path: KeyPath, located: Located, place: Place, *, as_text: bool = False) -> None:
        """Add a value, or every value of a tree, by its key. With `as_text`, parse values that are text."""
        known = generic(path)
        name = str(path[-1]) if path else ""
        if known[:1] == ("exchanges",) and len(path) > 1:
            self.exchanges.setdefault(str(path[1]), place)
        if names_a_secret(name):
            self._refuse_secret(path, place)
        elif known in KEYS:
            self.keys[path] = Found(_value(KEYS[known], plain(located), as_text=as_text), place)
        elif known not in SECTIONS and not (
            is_section_elsewhere(path) and isinstance(located.value, Mapping)
        ):
            section = (
                dotted(path[:-1]) if path[:-1] and generic(path[:-1]) in SECTIONS else "the configuration"
            )
            self.refuse(place, path, f"found a key that {section} does not have{_or_expected(path)}")
        elif isinstance(located.value, Mapping):
            for inner, value in located.value.items():
                self.take((*path, inner), value, place.at(value.line), as_text=as_text)
        elif located.value is not None:
            wanted = ", ".join(SECTIONS[known]) or "the names of exchanges"
            self.refuse(
                place, path, f"found {kind_of_value(located.value)}, expected a section with {wanted}"
            )

    def _refuse_secret(self, path: KeyPath, place: Place) -> None:
        *section, name = path
        shown_path = (*section, name if str(name).isidentifier() else "(a name not shown)")
        exchange = str(path[1]) if path[0] == "exchanges" and len(path) > 1 else DEFAULT_EXCHANGE
        exchange = (exchange if exchange.isidentifier() else DEFAULT_EXCHANGE).upper()
        names = f"environment variables such as {exchange}_API_KEY and {exchange}_API_SECRET"
        elsewhere = None if path[0] == "exchanges" else found_elsewhere(path)
        if path == ("serve", "token") or (elsewhere is not None and elsewhere.ours.isupper()):
            names = f"the environment variable {SERVE_TOKEN if elsewhere is None else elsewhere.ours}"
        self.refuse(
            place,
            shown_path,
            f"found a secret (not shown), expected none here: set it by {names}",
        )


def _or_expected(path: KeyPath) -> str:
    close = nearest_key(path)
    return close or f", expected one of {', '.join(SECTIONS.get(generic(path[:-1])) or SECTIONS[()])}"


def _value(key: Key, value: object, *, as_text: bool) -> object:
    if as_text and isinstance(value, str):
        value = from_text(key, value)
    return tuple(value) if isinstance(value, list) else value


def from_text(key: Key, text: str) -> object:
    """Convert text to the type of `key`; return other text as it is, to be refused later."""
    kind = key.kind
    if key.holds_a_list or key.holds_a_mapping:
        return listed(text) if key.holds_a_list else mapped(text)
    text = text.strip()
    if key.may_be_null and text.lower() in ("", "null"):
        return None
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        if kind is int or kind is float:
            return kind(text)
    except ValueError:
        return text
    return text.lower() if key.choices else text


def listed(text: str) -> tuple[str, ...]:
    """Split `A, B` into its items."""
    return tuple(item for item in (part.strip() for part in text.split(",")) if item)


def mapped(text: str) -> object:
    """Parse `NAME=mode, NAME=mode:100`; return text that cannot be parsed as it is."""
    found: dict[str, dict[str, object]] = {}
    for item in listed(text):
        name, _, rest = (part.strip() for part in item.partition("="))
        mode, separator, interval = rest.partition(":")
        if not (name and mode) or name in found or (separator and not interval.isdecimal()):
            return text
        found[name] = {"mode": mode.lower(), **({"interval_ms": int(interval)} if separator else {})}
    return found


def kind_of_value(value: object) -> str:
    """Return words for the kind of a value, without the value itself."""
    kinds: list[tuple[type | tuple[type, ...], str]] = [
        (type(None), "nothing"),
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
        (str, "text"),
        (bool, "true or false"),
        ((int, float), "a number"),
    ]
    return next((name for kind, name in kinds if isinstance(value, kind)), "something else")


def shown(value: object) -> str:
    """Return a value as text for a message: quoted, shortened, without passwords."""
    if value is None or isinstance(value, Mapping | list | tuple):
        return kind_of_value(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**_LONGEST_SHOWN:
        return "a number of very many digits"
    text = repr(mask_url(value) if isinstance(value, str) else value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
