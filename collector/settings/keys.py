"""List every key of the configuration by its path, from the models and the parts' dataclasses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from types import NoneType
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from collector.bounds import Expected
from collector.exchanges import one_of
from collector.nearest import did_you_mean
from collector.settings.model import ExchangeSettings, Part, Settings

KeyPath = tuple[str | int, ...]

ANY_EXCHANGE = "*"
NOT_KEYS = frozenset(  # set by the loader itself
    {("exchanges", ANY_EXCHANGE, "credentials"), ("serve", "token")}
)

_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its type, its default, and what a message expects of its value."""

    annotation: object
    expected: str
    default: object

    @property
    def kind(self) -> object:
        """Its type, without bounds and without null."""
        kinds = [one for one in (get_args(self.annotation) or (self.annotation,)) if one is not NoneType]
        return get_args(kinds[0])[0] if get_origin(kinds[0]) is Annotated else kinds[0]

    @property
    def holds_a_list(self) -> bool:
        """Whether its value is a list."""
        return get_origin(self.annotation) is tuple

    @property
    def holds_a_mapping(self) -> bool:
        """Whether its value is a mapping whose names are not keys of the configuration."""
        return get_origin(self.annotation) is Mapping

    @property
    def may_be_null(self) -> bool:
        """Whether it may be left empty."""
        return NoneType in get_args(self.annotation)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that can be chosen; none where the value is not one of a few words."""
        return _choices(self.annotation)

    @property
    def expected_item(self) -> str:
        """What one item of its list must be."""
        _, *marks = get_args(get_args(self.annotation)[0])
        return _marked(marks) or self.expected


def generic(path: KeyPath) -> KeyPath:
    """Return `path` with `*` for the exchange's name, and without item numbers."""
    names = tuple(name for name in path if isinstance(name, str))
    return (names[0], ANY_EXCHANGE, *names[2:]) if len(names) > 1 and names[0] == "exchanges" else names


def key_of(path: KeyPath) -> KeyPath:
    """Return the key that a path lies in: the list of an item, the mapping of an entry."""
    parts = (path[:length] for length in range(1, len(path) + 1))
    return next((part for part in parts if generic(part) in KEYS), path)


def dotted(path: KeyPath) -> str:
    """Return a path as text: `exchanges.bybit.symbols[1]`. Quote and shorten names that no key can have."""
    text = ""
    for name in path:
        if isinstance(name, int):
            text += f"[{name}]"
            continue
        plain = re.fullmatch(r"[\w*-]+", name, re.ASCII) and len(name) <= _LONGEST_NAME
        text += ("." if text else "") + (name if plain else repr(name[:_LONGEST_NAME]))
    return text


def nearest_key(path: KeyPath) -> str:
    """Return `; did you mean X?` for an unknown key: from its own section, else from any."""
    *section, name = path
    close = did_you_mean(str(name), SECTIONS.get(generic(tuple(section)), []))
    if close:
        return close
    elsewhere = {str(known[-1]): dotted(known).replace(ANY_EXCHANGE, "<exchange>") for known in KEYS}
    return did_you_mean(str(name), elsewhere, word=elsewhere.__getitem__)


def _marked(marks: list[object] | tuple[object, ...]) -> str | None:
    return next((mark.text for mark in marks if isinstance(mark, Expected)), None)


def _expected(field: FieldInfo) -> str:
    may_be_null = NoneType in get_args(field.annotation)
    within = [mark for one in get_args(field.annotation) for mark in getattr(one, "__metadata__", ())]
    marked = _marked([*field.metadata, *within])
    if marked is not None:
        return f"{marked}, or null" if within and may_be_null else marked
    choices = one_of(_choices(field.annotation))
    return f"{choices}, or null" if may_be_null else choices


def _choices(annotation: object) -> tuple[str, ...]:
    literals = [kind for kind in (annotation, *get_args(annotation)) if get_origin(kind) is Literal]
    return get_args(literals[0]) if literals else ()


def _fields(section: type) -> dict[str, FieldInfo]:
    """Return the fields of a section by name, whether it is a model or a dataclass of a part."""
    if issubclass(section, Part):
        return section.model_fields
    hints = get_type_hints(section, include_extras=True)
    return {name: FieldInfo.from_annotation(hint) for name, hint in hints.items()}


def _section_in(field: FieldInfo) -> type | None:
    kind: object = field.annotation
    if isinstance(kind, type) and (issubclass(kind, Part) or is_dataclass(kind)):
        return kind
    return None


def _collect(section: type, path: KeyPath) -> None:
    fields, defaults = _fields(section), section()
    SECTIONS[path] = [name for name in fields if (*path, name) not in NOT_KEYS]
    for name in SECTIONS[path]:
        inner = _section_in(fields[name])
        if inner is not None:
            _collect(inner, (*path, name))
        elif (*path, name) != ("exchanges",):
            KEYS[*path, name] = Key(fields[name].annotation, _expected(fields[name]), getattr(defaults, name))


KEYS: dict[KeyPath, Key] = {}
SECTIONS: dict[KeyPath, list[str]] = {("exchanges",): []}
_collect(Settings, ())
_collect(ExchangeSettings, ("exchanges", ANY_EXCHANGE))
