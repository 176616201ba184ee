"""Run the checks and print what they found."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.commands.doctor.check_result import CheckResult
from collector.cli.options import (
    AsJson,
    Channels,
    ConfigFile,
    ConfiguredDatabase,
    Exchange,
    Followers,
    Symbols,
)
from collector.cli.plain import counted
from collector.cli.table import wrapped

if TYPE_CHECKING:
    from collector.settings import Loaded

EXIT_FAILED = 1
STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}
LEVEL_WIDTH = 5
NAME_WIDTH = 20


def doctor(
    *,
    config: ConfigFile = None,
    exchange: Exchange = None,
    symbols: Symbols = None,
    channels: Channels = None,
    db: ConfiguredDatabase = None,
    follower: Followers = None,
    offline: Annotated[bool, typer.Option("--offline", help="Leave the exchanges alone.")] = False,
    as_json: AsJson = False,
) -> int:
    """Look for what stands in the way: machine, disk, database, configuration, exchanges, keys.

    Example: python run.py doctor --config live.yaml

    Exit codes: 0 nothing does (there may be warnings); 1 something does; 2 a mistake in what was asked.
    """
    found: list[CheckResult] = []
    for verdict in _verdicts(config, exchange, symbols, channels, db, follower, offline=offline):
        found.append(verdict)
        if not as_json:
            _print(verdict)
    failed = sum(one.level == "fail" for one in found)
    if as_json:
        verdicts = [
            {"name": one.name, "level": one.level, "found": one.found, "advice": one.advice} for one in found
        ]
        print(json.dumps({"ok": not failed, "verdicts": verdicts}))
    else:
        warned = sum(one.level == "warn" for one in found)
        print(f"{len(found)} looked at: {failed} in the way, {warned} to think about")
    return EXIT_FAILED if failed else 0


def _verdicts(
    config: Path | None,
    exchange: str | None,
    symbols: str | None,
    channels: str | None,
    db: str | None,
    followers: list[str] | None,
    *,
    offline: bool,
) -> Iterator[CheckResult]:
    from collector.cli.commands.doctor import archive, exchanges, machine, storage  # noqa: PLC0415
    from collector.cli.kept_plan import kept_plan, on_one_disk  # noqa: PLC0415
    from collector.cli.options import configured  # noqa: PLC0415
    from collector.cli.planning import Plan, expected_lines  # noqa: PLC0415
    from collector.errors import SettingsError, UserError  # noqa: PLC0415
    from collector.settings import Settings  # noqa: PLC0415

    yield machine.python()
    yield machine.installation()
    yield machine.sqlite()
    yield machine.open_files()
    settings = Settings.model_validate({})  # what is looked at where there is no other
    try:
        loaded = configured(
            config, exchange=exchange, symbols=symbols, channels=channels, db=db, followers=followers
        )
    except SettingsError as error:
        yield CheckResult("configuration", "fail", "; ".join(error.problems), "python run.py config check")
    except UserError as error:
        yield CheckResult("configuration", "fail", str(error))
    else:
        settings = loaded.settings
        yield from _configuration(loaded)
    yield machine.memory(settings.buffer.max_rows, settings.storage.levels)
    folder = storage.folder_of(settings.database)
    lines = expected_lines(settings)
    if folder is None:
        yield from machine.disk(Path())
    else:
        kept = kept_plan(settings, lines)
        is_there = kept is None or on_one_disk(folder, kept.folder)
        plan = Plan(lines, folder, None, kept=kept, is_archived_there=is_there)
        held = 0.0 if kept is None else kept.database_gigabytes
        yield from machine.disk(folder, plan.growth_gigabytes_a_day * 1e9, held * 1e9)
    yield storage.database(settings.database)
    yield from storage.spools(settings)
    yield from archive.archive(settings.database)
    yield from storage.log_held(settings.database)
    yield from storage.followers(settings)
    for name, one in settings.exchanges.items():
        if offline:
            yield CheckResult(name, "skip", "left alone")
        else:
            yield from exchanges.exchange(name, one)


def _configuration(loaded: "Loaded") -> Iterator[CheckResult]:
    from collector.cli.announcing import default_setup  # noqa: PLC0415

    exchanges = loaded.settings.exchanges
    streams = sum(one.most_streams for one in exchanges.values())
    found = f"{counted(streams, 'stream')} of {', '.join(exchanges)}"
    default = default_setup(loaded)
    yield CheckResult("configuration", "ok", f"{found}; {default}" if default else found)
    for text in loaded.notes.without_effect:
        yield CheckResult("configuration", "warn", text)


def _print(verdict: CheckResult) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    is_terminal = sys.stdout.isatty()
    console = Console(highlight=False, soft_wrap=True, no_color=None if is_terminal else True)
    text = Text(f"{verdict.level:{LEVEL_WIDTH}}", style=STYLES[verdict.level])
    text.append("\n".join(verdict_lines(verdict, console.width if is_terminal else None)), style="default")
    console.print(text)


def verdict_lines(verdict: CheckResult, within: int | None) -> list[str]:
    """Return what was found and what to do about it, wrapped beside the name; None: a line each."""
    found, begins = verdict.found, LEVEL_WIDTH + NAME_WIDTH + 1
    lines = [found] if within is None else wrapped(found, within - begins, 0)
    if verdict.advice:
        advice = f"-> {verdict.advice}"
        lines += [advice] if within is None else wrapped(advice, within - begins, 3)
    return [f"{verdict.name:{NAME_WIDTH}} {lines[0]}", *(" " * begins + line for line in lines[1:])]
