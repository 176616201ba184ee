"""The command `collect`."""

from typing import Annotated

import typer

from collector.cli.options import ConfigFile, Plain, Seconds


def collect(
    *,
    config: ConfigFile = None,
    exchange: Annotated[
        str | None, typer.Option("--exchange", "-e", help="Collect from this exchange; with --symbols.")
    ] = None,
    symbols: Annotated[
        str | None,
        typer.Option("--symbols", "-s", help="Markets, separated by commas: BTC/USDT:USDT,ETH/USDT:USDT"),
    ] = None,
    db: Annotated[
        str | None, typer.Option("--db", help="A path of an SQLite file, or an SQLAlchemy URL.")
    ] = None,
    seconds: Seconds = None,
    plain: Plain = False,
) -> int:
    """Collect until stopped; Ctrl-C drains, closes and prints the accounting.

    Example: python run.py collect --symbols BTC/USDT:USDT --db ./live.db

    Exit codes: 0 all is well and accounted for; 1 something accepted was lost; 2 a mistake in what was asked.
    """
    from collector.app import Collector  # noqa: PLC0415
    from collector.cli.running import run_in_foreground, screen_for  # noqa: PLC0415
    from collector.logs import set_up_logging  # noqa: PLC0415
    from collector.settings import load_settings  # noqa: PLC0415

    overrides: dict[str, object] = {}
    if exchange is not None:
        overrides[f"exchanges.{exchange}.symbols"] = symbols or ""
    elif symbols is not None:
        overrides["symbols"] = symbols
    if db is not None:
        overrides["database.url"] = db
    settings = load_settings(config, overrides=overrides)
    set_up_logging(settings.logging, secrets=settings.secrets())
    screen = screen_for(settings.logging, wanted=not plain)
    return run_in_foreground(Collector(settings), seconds, screen=screen)
