"""Read a YAML file into plain values, each with its line.

Stricter than YAML 1.1: `NO`, `12:30` and `010` stay text instead of turning into false, 750 and 8; a key
given twice, an alias (the way to a file that unfolds to gigabytes) and a foreign tag are mistakes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

MOST_BYTES = 1_000_000


class UnreadableError(Exception):
    """Raised for a file that cannot be read; the text says why and what was expected."""


def read_small_text(path: Path, expected: str) -> str:
    """Return the text of `path`, or raise UnreadableError. A missing file is a FileNotFoundError."""
    try:
        if path.exists() and not path.is_file():  # a folder, or a pipe that would never end
            raise UnreadableError(f"found something that is not a file, expected {expected}")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UnreadableError(f"found more than {MOST_BYTES} bytes, expected {expected}")
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror}), expected {expected}") from error
    except UnicodeDecodeError as error:
        raise UnreadableError(f"found bytes that are not UTF-8, expected {expected}") from error
    except ValueError as error:  # a path with a NUL in it
        raise UnreadableError(f"found a path that no file can have, expected {expected}") from error


DEEPEST = 20
TAB = "found a tab, expected spaces: YAML indents with spaces only"

_STR = "tag:yaml.org,2002:str"
_READERS: dict[str, Callable[[str], object]] = {
    "tag:yaml.org,2002:null": lambda text: None,  # noqa: ARG005
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    _STR: str,
}


@dataclass(frozen=True, slots=True)
class Located:
    """A value and its line; the values of a mapping are located as well."""

    value: object
    line: int = 0


@dataclass(slots=True)
class YamlRead:
    """The contents of a file, and its mistakes (line, sentence)."""

    root: Located | None = None
    mistakes: list[tuple[int, str]] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    """A SafeLoader that reads `NO`, `12:30` and `010` as text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  (PyYAML's own way)
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases and nesting without end."""
        if self.check_event(yaml.AliasEvent):
            problem = "found an alias (*name), expected the value itself"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        self.depth += 1
        if self.depth > DEEPEST:
            problem = f"found values nested more than {DEEPEST} deep, expected key: value"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9_]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9_]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})\Z"), _first)


def read_yaml(path: Path) -> YamlRead:
    """Read a YAML file; its mistakes are in `mistakes` of the result."""
    read = YamlRead()
    try:
        root = _Loader(read_small_text(path, "a YAML file")).get_single_node()
    except FileNotFoundError:
        read.mistakes.append((0, "no such file, expected a YAML file"))
    except UnreadableError as error:
        read.mistakes.append((0, str(error)))
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the file, which may hold a secret: only its problem is told.
        mark = error.problem_mark or error.context_mark
        problem = TAB if "'\\t'" in (error.problem or "") else error.problem
        read.mistakes.append((mark.line + 1 if mark else 0, problem or "cannot be read as YAML"))
    except yaml.YAMLError:
        read.mistakes.append((0, "found characters that YAML does not allow, expected a text file"))
    else:
        read.root = Located(None, 1) if root is None else _located(root, read.mistakes)
    return read


def _located(node: yaml.Node, mistakes: list[tuple[int, str]]) -> Located:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return Located(_mapping(node, mistakes), line)
    if isinstance(node, yaml.SequenceNode):
        return Located([plain(_located(item, mistakes)) for item in node.value], line)
    read = _READERS.get(node.tag)
    if read is None:
        mistakes.append((line, "found a YAML tag (!name), expected a plain value"))
        return Located(None, line)
    try:
        return Located(read(node.value), line)
    except ValueError:  # `!!int word`, or a number of thousands of digits
        return Located(node.value, line)


def _mapping(node: yaml.MappingNode, mistakes: list[tuple[int, str]]) -> dict[str, Located]:
    values: dict[str, Located] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            mistakes.append((line, "found a list or a mapping for a key, expected a name"))
            continue
        key = key_node.value
        if key in values:
            name = key if re.fullmatch(r"[\w./:-]{1,60}", key) else "(a name not shown)"
            mistakes.append((line, f"{name}: found a second time (first on line {values[key].line})"))
            continue
        values[key] = Located(_located(value_node, mistakes).value, line)
    return values


def plain(located: Located) -> object:
    """Return the value without its lines."""
    if isinstance(located.value, dict):
        return {key: plain(value) for key, value in located.value.items()}
    return located.value
