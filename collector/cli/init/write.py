"""Write the file, show what it will cost, and say what comes next."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collector.cli.init.answers import Answers
from collector.cli.init.file import put_in_place, written_aside
from collector.cli.init.next_steps import again, next_commands
from collector.cli.init.yaml_text import yaml_text
from collector.cli.planning import expected_lines, make_plan, print_plan
from collector.errors import SettingsError
from collector.settings import Settings, load_settings

URL_VARIABLE = "COLLECTOR_DATABASE__URL"


def write(answers: Answers, output: Path, *, replace: bool) -> None:
    """Write the file once a plan could be made of it; print both plan and next commands."""
    database = answers.database
    text = yaml_text(answers, again=again(_options(answers), output))
    with written_aside(output, text) as aside:
        settings = _loaded(aside, output)
        plan = make_plan(settings, expected_lines(settings))
        outranked = _outranked(settings, load_settings(aside, environ={}, env_file=None))
        put_in_place(aside, output, replace=replace)
    print()
    for exchange, symbols in answers.markets.items():
        print(f"{exchange}: {', '.join(symbols)}")
    print()
    print_plan(plan)
    print(f"\n{output} is written ({len(plan.lines)} streams).")
    if outranked:
        print(f"note: environment variables or .env outrank the file in {', '.join(outranked)}")
    if database.has_password and URL_VARIABLE not in os.environ:
        print(f"The password is not in it: {URL_VARIABLE} must have the whole URL, or a line of .env.")
    print("Next:")
    for command in next_commands(database, output, url_is_set=URL_VARIABLE in os.environ):
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
    """Name the keys of the file that something else has the last word on."""
    by_file = dict(_values(written.masked()))
    return [key for key, value in _values(used.masked()) if by_file.get(key, value) != value]


def _values(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        at = f"{path}.{name}" if path else name
        if isinstance(value, Mapping):
            yield from _values(value, at)
        else:
            yield at, value
