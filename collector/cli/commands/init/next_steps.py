"""Build the commands that come next, as they can be typed where the person is."""

import shutil
import sys
from pathlib import Path
from shlex import join, quote

from collector.cli.commands.init.answers import Database
from collector.cli.options import DEFAULT_OUTPUT


def program() -> str:
    """Return how this program was started: `python run.py`, or `collector`."""
    script = Path(sys.argv[0])
    if script.suffix != ".py":
        return quote(script.name or "collector")
    return f"{_interpreter()} {quote(str(script))}"


def _interpreter() -> str:
    """Return the shortest name under which a shell finds the Python that runs this."""
    ours = Path(sys.executable)
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found is not None and Path(found).parent == ours.parent:
            return name
    return quote(str(ours))


def same_command(options: dict[str, str], output: Path) -> str:
    """Return the command that makes the same file without a question."""
    asked = options if output == DEFAULT_OUTPUT else {**options, "--output": str(output)}
    return f"{program()} init {join(word for pair in asked.items() for word in pair)}"


def next_commands(database: Database, output: Path, *, url_is_set: bool) -> list[str]:
    """Return the commands up to the one that collects, in order."""
    commands = []
    url = quote(database.url)
    if database.has_password:
        url = '"$COLLECTOR_DATABASE__URL"'
        if not url_is_set:
            commands.append(f"export COLLECTOR_DATABASE__URL={quote(_with_place_for_password(database.url))}")
    if database.is_server:
        commands.append(f"{program()} migrate up --db {url}")
    commands.append(f"{program()} --config {quote(str(output))}")
    return commands


def _with_place_for_password(url: str) -> str:
    head, at, rest = url.partition("@")
    if at:
        return f"{head}:PASSWORD@{rest}"
    return f"{url}{'&' if '?' in url else '?'}password=PASSWORD"
