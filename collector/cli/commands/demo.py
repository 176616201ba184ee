"""Define the command `demo`."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.options import Followers, NoServe, Plain, Seconds
from collector.cli.table import print_text

if TYPE_CHECKING:
    from collector.settings import Settings
    from collector.simulator import Simulator

DEMO_DATABASE = "./demo.db"
HEEDED = ("COLLECTOR_LOGGING", "COLLECTOR_SERVE")  # sections of the environment's settings


def demo(
    *,
    db: Annotated[
        str, typer.Option("--db", help="Where to write: a path of an SQLite file, or an SQLAlchemy URL.")
    ] = DEMO_DATABASE,
    follower: Followers = None,
    seconds: Seconds = None,
    plain: Plain = False,
    no_serve: NoServe = False,
) -> int:
    """Collect from simulated exchanges on this machine: no network, no configuration, no account.

    Example: python run.py demo --seconds 20 --db ./demo.db
    """
    from collector.app import make_collector  # noqa: PLC0415
    from collector.cli.running import run_in_foreground, screen_for  # noqa: PLC0415
    from collector.exchanges import DEFAULT_EXCHANGE  # noqa: PLC0415
    from collector.log import set_up_logging  # noqa: PLC0415
    from collector.serve import server_of  # noqa: PLC0415
    from collector.simulator import Simulator  # noqa: PLC0415

    markets = demo_markets()
    with Simulator(symbols=markets) as simulator:
        settings = demo_settings(simulator, db, os.environ, follower or ())
        set_up_logging(settings.logging, secrets=settings.secrets())
        until = "Ctrl-C" if seconds is None else f"{seconds:g} s are over"
        shown = settings.masked()["database"]["url"]
        names = "; ".join(f"{exchange} {', '.join(symbols)}" for exchange, symbols in markets.items())
        print_text(f"Collecting {names}, all simulated, into {shown} until {until}.", file=sys.stderr)
        screen = screen_for(settings.logging, wanted=not plain)
        collector = make_collector(settings)
        server = None if no_serve else server_of(settings, collector, by_default=True)
        code = run_in_foreground(collector, seconds, screen=screen, server=server)
    print_what_next(shown, markets[DEFAULT_EXCHANGE][0])
    return code


def demo_markets() -> dict[str, tuple[str, ...]]:
    """Return the markets that the demo collects, by exchange."""
    from collector.exchanges import EXCHANGES  # noqa: PLC0415

    return {name: one.demo_markets for name, one in EXCHANGES.items() if one.demo_markets}


def demo_settings(
    simulator: "Simulator", db: str, environ: Mapping[str, str], followers: Sequence[str] = ()
) -> "Settings":
    """Return the demo's settings: of the environment only what a person sees, nothing of where rows go."""
    from collector.exchanges import EXCHANGES  # noqa: PLC0415
    from collector.settings import load_settings  # noqa: PLC0415

    overrides: dict[str, object] = {"database.url": db, "followers": list(followers)}
    for exchange, symbols in demo_markets().items():
        overrides[f"exchanges.{exchange}.symbols"] = list(symbols)
        overrides[f"exchanges.{exchange}.channels"] = list(EXCHANGES[exchange].demo_channels)
        for side, url in simulator.endpoints(exchange).items():
            overrides[f"exchanges.{exchange}.endpoints.{side}"] = url
    heeded = {name: value for name, value in environ.items() if name.upper().startswith(HEEDED)}
    return load_settings(overrides=overrides, environ=heeded, env_file=None, overrides_name="demo")


def print_what_next(db: str, symbol: str) -> None:
    """Print where the data is and what to do with it."""
    print(
        f"\nThe data is in {db}. Try:\n"
        f"  python run.py verify --db {db}\n"
        f"  python run.py coverage --db {db}\n"
        f"  python run.py symbols --db {db}\n"
        f"  python run.py tail --no-follow --db {db}\n"
        "and in Python, as docs/reading.md tells:\n"
        f"  collector.load_features('{db}', '{symbol}', every='1s')"
    )
