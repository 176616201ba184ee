"""Define the options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collector.settings import Loaded


def configured(
    config: Path | None,
    *,
    exchange: str | None = None,
    symbols: str | None = None,
    channels: str | None = None,
    db: str | None = None,
    followers: list[str] | None = None,
) -> "Loaded":
    """Return the settings; with `exchange` of that one only, as configured or as the other options say.

    Where no market is named anywhere, they are those of the default set-up.
    """
    from collector.settings import load_with_notes  # noqa: PLC0415

    overrides: dict[str, object] = {}
    if db is not None:
        overrides["database.url"] = db
    if followers:
        overrides["followers"] = followers
    if exchange is not None:
        overrides["exchange"] = exchange
    if symbols is not None:
        overrides["symbols"] = symbols
    if channels is not None:
        overrides["channels"] = channels
    return load_with_notes(config, overrides=overrides, default_setup=True)


DEFAULT_DATABASE = "./trading_bot_live.db"
DEFAULT_OUTPUT = Path("collector.yaml")
DEFAULT_TABLE = "l2_training_data_practical"

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="A YAML file; config/default.yaml lists every key.")
]
Exchange = Annotated[
    str | None, typer.Option("--exchange", "-e", help="This exchange only; `init` lists them.")
]
Symbols = Annotated[
    str | None,
    typer.Option("--symbols", "-s", help="Markets, separated by commas: BTC/USDT:USDT,ETH/USDT:USDT"),
]
Channels = Annotated[
    str | None, typer.Option("--channels", help="What of each market, separated by commas: book.50,trade")
]
ConfiguredDatabase = Annotated[
    str | None, typer.Option("--db", help="A path of an SQLite file, or an SQLAlchemy URL.")
]
DatabaseUrl = Annotated[str, typer.Option("--db", help="A path of an SQLite file, or an SQLAlchemy URL.")]
TableName = Annotated[str, typer.Option("--table", help="The name of the table of book rows.")]
Seconds = Annotated[float | None, typer.Option("--seconds", min=0.1, help="Stop by itself after this long.")]
NoServe = Annotated[
    bool, typer.Option("--no-serve", help="No HTTP server: no health, no metrics, no dashboard.")
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="End with exit code 75 where the database is away, locked or full.")
]
Followers = Annotated[
    list[str] | None,
    typer.Option(
        "--follower",
        help="Send what the database has committed here as well: kinesis://REGION/STREAM, a path, or a URL. "
        "May be given several times; stands in for the configured ones.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Plain = Annotated[
    bool, typer.Option("--plain", help="Log lines in place of the live table, on a terminal as well.")
]
