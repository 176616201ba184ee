"""Read a Dockerfile: its instructions, stage by stage."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

WORD = re.compile(r"\$\{(\w+)\}|\$(\w+)")
KNOWN = {
    *("FROM", "ARG", "ENV", "LABEL", "WORKDIR", "COPY", "RUN", "VOLUME", "EXPOSE", "USER", "STOPSIGNAL"),
    *("HEALTHCHECK", "ENTRYPOINT", "CMD"),
}


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name, its flags (`--from=build`), and the rest as written."""

    name: str
    rest: str
    flags: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """Return the words of the exec form, or those that a shell would make of it."""
        if self.rest.startswith("["):
            found: list[str] = json.loads(self.rest)
            return found
        return shlex.split(self.rest)

    @property
    def check(self) -> list[str]:
        """Return the words of a HEALTHCHECK."""
        words: list[str] = json.loads(self.rest.removeprefix("CMD "))
        return words

    @property
    def is_exec(self) -> bool:
        """Return whether it is a JSON list, which runs without a shell."""
        return self.rest.startswith("[")

    def pairs(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return NAME=value pairs, with variables filled in."""
        return {
            name: filled(value, values) for name, _, value in (word.partition("=") for word in self.words)
        }


@dataclass
class Stage:
    """What begins with FROM."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, name: str) -> Instruction:
        """Return the instruction that holds: the last of its name."""
        return [one for one in self.instructions if one.name == name][-1]

    def all(self, name: str) -> list[Instruction]:
        """Return every instruction of a name."""
        return [one for one in self.instructions if one.name == name]


@dataclass
class Dockerfile:
    """The arguments before the first stage, and the stages."""

    arguments: dict[str, str]
    stages: list[Stage]


def filled(text: str, values: Mapping[str, str]) -> str:
    """Fill in the variables of a text; one that is not there is empty."""
    return WORD.sub(lambda match: values.get(match[1] or match[2], ""), text)


def instruction_of(line: str) -> Instruction:
    """Return a line's instruction."""
    name, _, rest = line.partition(" ")
    if name not in KNOWN:
        raise ValueError(f"{name} is not understood here")
    flags: dict[str, str] = {}
    while match := re.match(r"\s*--([a-z-]+)=(\S+)\s", rest):
        flags[match[1]] = match[2]
        rest = rest[match.end() :]
    return Instruction(name, rest.strip(), flags)


def read_dockerfile(path: Path) -> Dockerfile:
    """Read a file: comments left out, lines that go on joined."""
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = Dockerfile({}, [])
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction = instruction_of(line)
        if instruction.name == "FROM":
            base, _, name = instruction.rest.partition(" AS ")
            found.stages.append(Stage(filled(base, found.arguments), name.strip()))
        elif found.stages:
            found.stages[-1].instructions.append(instruction)
        else:
            name, _, value = instruction.rest.partition("=")
            found.arguments[name] = value
    return found
