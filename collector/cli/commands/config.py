"""Define the commands `config show` and `config check`."""

import json

import typer

from collector.cli.options import AsJson, Channels, ConfigFile, ConfiguredDatabase, Exchange, Symbols

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


@config.command("check")
def check(*, file: ConfigFile = None, as_json: AsJson = False) -> int:
    """Check the configuration and print every mistake in it at once. Starts nothing.

    Example: python run.py config check --config live.yaml

    Exit codes: 0 it can be used; 2 it has mistakes.
    """
    from collector.cli.announcing import default_setup, levels_note  # noqa: PLC0415
    from collector.cli.options import configured  # noqa: PLC0415
    from collector.errors import SettingsError  # noqa: PLC0415

    try:
        loaded = configured(file)
    except SettingsError as error:
        if not as_json:
            raise
        print(json.dumps({"ok": False, "problems": error.problems}))
        return 2
    settings = loaded.settings
    streams = sum(one.most_streams for one in settings.exchanges.values())
    if as_json:
        print(json.dumps({"ok": True, "problems": [], "streams": streams}))
        return 0
    most = "at most " if any(one.universe.top is not None for one in settings.exchanges.values()) else ""
    into = settings.masked()["database"]["url"]
    print(f"the configuration can be used: {most}{streams} streams into {into}")
    for text in (default_setup(loaded), levels_note(loaded.settings), *loaded.notes.without_effect):
        if text:
            print(text)
    return 0
