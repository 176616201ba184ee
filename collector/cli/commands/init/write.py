"""Write the file, and print what it will cost and what comes next."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.cli.commands.init.answers import Answers
from collector.cli.commands.init.file import put_in_place, written_aside
from collector.cli.commands.init.next_steps import next_commands, same_command
from collector.cli.commands.init.yaml_text import yaml_text
from collector.cli.plain import counted
from collector.cli.planning import Plan, expected_lines, make_plan, print_plan
from collector.cli.table import print_text
from collector.errors import SettingsError
from collector.settings import Settings, load_settings

URL_VARIABLE = "COLLECTOR_DATABASE__URL"


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """The file that was written, and what it brings."""

    answers: Answers
    output: Path
    plan: Plan
    outranked: Sequence[str]  # keys of the file that something else has the last word on


def write(answers: Answers, output: Path, *, replace: bool) -> WrittenFile:
    """Write the file, once a plan could be made of it."""
    place = output.resolve()  # a link stays one
    text = yaml_text(answers, made_by=same_command(_options(answers), output))
    with written_aside(place, text) as aside:
        settings = _loaded(aside, output)
        plan = make_plan(settings, expected_lines(settings))
        outranked = _outranked(settings, load_settings(aside, environ={}, env_file=None))
        put_in_place(aside, place, replace=replace)
    return WrittenFile(answers, output, plan, outranked)


def print_written(written: WrittenFile) -> None:
    """Print what was understood, the plan, and the commands that come next."""
    answers, database = written.answers, written.answers.database
    print()
    for exchange, symbols in answers.markets.items():
        print_text(f"{exchange}: {', '.join(symbols)}")
    print()
    print_plan(written.plan)
    streams = len(written.plan.lines)
    print_text(f"\n{written.output} is written ({counted(streams, 'stream')}).")
    if written.outranked:
        print_text(f"note: environment variables or .env outrank the file in {', '.join(written.outranked)}")
    if database.has_password and URL_VARIABLE not in os.environ:
        print_text(
            f"The password is not in it: set {URL_VARIABLE} to the whole URL, in the environment or in .env."
        )
    print("Next:")
    for command in next_commands(database, written.output, url_is_set=URL_VARIABLE in os.environ):
        print(f"  {command}")


def _options(answers: Answers) -> dict[str, str]:
    """Return the options that give the same answers, markets by their whole names."""
    alone = len(answers.markets) == 1
    markets = [
        symbol if alone else f"{exchange}:{symbol}"
        for exchange, symbols in answers.markets.items()
        for symbol in symbols
    ]
    return {
        "--exchanges": ",".join(answers.markets),
        "--markets": ",".join(markets),
        "--purpose": answers.purpose.name,
        "--db": answers.database.url,
    }


def _loaded(aside: Path, output: Path) -> Settings:
    """Load the file as the next command will, with what the environment says."""
    try:
        return load_settings(aside)
    except SettingsError as error:
        problems = [problem.replace(str(aside), str(output)) for problem in error.problems]
        raise SettingsError(problems) from None


def _outranked(used: Settings, written: Settings) -> list[str]:
    """List the keys of the file that something else overrides."""
    by_file = dict(_values(written.masked()))
    return [key for key, value in _values(used.masked()) if by_file.get(key, value) != value]


def _values(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        at = f"{path}.{name}" if path else name
        if isinstance(value, Mapping):
            yield from _values(value, at)
        else:
            yield at, value
