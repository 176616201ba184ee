"""Define the commands `config show` and `config check`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from collector.cli.options import AsJson, Channels, ConfigFile, ConfiguredDatabase, Exchange, Symbols

if TYPE_CHECKING:
    from collector.settings import Settings

config = typer.Typer(name="config", help="Show or check what the collector would do.", no_args_is_help=True)


@config.command("show")
def show(
    *,
    file: ConfigFile = None,
    exchange: Exchange = None,
    symbols: Symbols = None,
    channels: Channels = None,
    db: ConfiguredDatabase = None,
    as_json: AsJson = False,
) -> int:
    """Print every setting as it would be used, secrets masked.

    Example: python run.py config show --config config/live.example.yaml

    Exit codes: 0 shown; 2 a mistake in the configuration.
    """
    from collector.cli.announcing import default_setup  # noqa: PLC0415
    from collector.cli.options import configured  # noqa: PLC0415

    loaded = configured(file, exchange=exchange, symbols=symbols, channels=channels, db=db)
    settings = loaded.settings.masked()
    if as_json:
        print(json.dumps(settings))
        return 0
    import yaml  # noqa: PLC0415

    if text := default_setup(loaded):
        print(f"# {text}")
    print(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), end="")
    return 0


def _check_places(settings: "Settings") -> None:
    """Raise SettingsError for what this machine lacks: folders, and what a database needs."""
    from collector.errors import SettingsError, UserError  # noqa: PLC0415
    from collector.sinks import make_store  # noqa: PLC0415

    problems = []
    try:
        make_store(settings.database.url, settings.database)
    except UserError as error:
        problems.append(f"database.url: {error}")
    log_file = settings.logging.file
    if log_file is not None and not Path(log_file).expanduser().absolute().parent.is_dir():
        problems.append(f"logging.file: the folder of {log_file} does not exist; create it first")
    if problems:
        raise SettingsError(problems)


@config.command("check")
def check(*, file: ConfigFile = None, as_json: AsJson = False) -> int:
    """Check the configuration and print every mistake in it at once. Starts nothing, makes nothing.

    Example: python run.py config check --config live.yaml

    Exit codes: 0 it can be used; 2 it has mistakes.
    """
    from collector.cli.announcing import default_setup, levels_note  # noqa: PLC0415
    from collector.cli.options import configured  # noqa: PLC0415
    from collector.errors import SettingsError  # noqa: PLC0415

    try:
        loaded = configured(file)
        _check_places(loaded.settings)
    except SettingsError as error:
        if not as_json:
            raise
        print(json.dumps({"ok": False, "problems": error.problems}))
        return 2
    settings = loaded.settings
    streams = sum(len(one.symbols) * len(one.channels) for one in settings.exchanges.values())
    if as_json:
        print(json.dumps({"ok": True, "problems": [], "streams": streams}))
        return 0
    print(f"the configuration can be used: {streams} streams into {settings.masked()['database']['url']}")
    for text in (default_setup(loaded), levels_note(loaded.settings), *loaded.notes.without_effect):
        if text:
            print(text)
    return 0
