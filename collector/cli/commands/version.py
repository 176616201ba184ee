"""Define the command `version`."""

import json
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

from collector.cli.options import AsJson
from collector.version import __version__

LIBRARIES = ("ccxt", "sqlalchemy", "alembic", "numpy", "pandas", "psycopg", "uvloop")
KERNEL = "market-collector-kernel"


def version(*, as_json: AsJson = False) -> int:
    """Show the version of the collector, and of what it stands on.

    Example: python run.py version --json
    """
    shown = versions()
    if as_json:
        print(json.dumps(shown))
        return 0
    for name, number in shown.items():
        print(f"{name:12}{number or 'not installed'}")
    return 0


def versions() -> dict[str, str | None]:
    """Return the versions by name; None where one is not installed."""
    from collector.database import sqlite_version  # noqa: PLC0415

    return {
        "collector": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite_version(),
        **{name: _version_of(name) for name in LIBRARIES},
        "kernel": _version_of(KERNEL),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _version_of(name: str) -> str | None:
    try:
        return version_of(name)
    except PackageNotFoundError:
        return None
