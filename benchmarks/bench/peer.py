"""Two programs beside each other: the collector in our interpreter, cryptofeed in one of its own."""

import json
import multiprocessing
import subprocess
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import NamedTuple, Self, cast

import sqlalchemy as sa
from foreign.rounds import Hearing, Program, Told, serve

from bench.collector_programs import FLUSH_S, WholeProgram, settings_of
from bench.programs import READY_TIMEOUT_S, OwnProcess, Setting
from bench.server import BookServer
from collector import DataIngestor, L2Update, Listener
from collector.database.sqlite_file import use_newest_sqlite
from collector.log.options import LogOptions
from collector.log.output import set_up_logging

VERSION = "3.0.1"
PYTHON = "3.13"
PACKAGES = ("cryptofeed", "uvloop", "asyncpg")
LOOK_TIMEOUT_S = 60.0
PROGRAM = Path(__file__).resolve().parents[1] / "foreign" / "cryptofeed_program.py"
HOW = f"""cryptofeed has an environment of its own, as it is no dependency of ours. Make one, and name it:

    python{PYTHON} -m venv ./cryptofeed-env
    ./cryptofeed-env/bin/pip install cryptofeed=={VERSION} uvloop asyncpg
    python run.py bench peers --cryptofeed ./cryptofeed-env"""
LOOK = """
import json, platform, sys
from importlib import import_module, metadata
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        import_module(name)
        found[name] = metadata.version(name)
    except ImportError as error:
        found[name] = ""
print(json.dumps(found))
"""
POSTGRES_TABLE = """
CREATE TABLE book (id serial PRIMARY KEY, timestamp TIMESTAMP, receipt_timestamp TIMESTAMP,
    exchange VARCHAR(32), symbol VARCHAR(32), data JSONB)
"""


class Peer(NamedTuple):
    """An interpreter that has cryptofeed."""

    python: Path
    versions: dict[str, str]


class Setup(NamedTuple):
    """Where updates go."""

    store: str  # none, sqlite, postgresql
    listens: bool  # to a bot's callback
    overflow: str = "drop_oldest"  # of the peer's queue to its store


class Heard(NamedTuple):
    """What one round took."""

    sent: int
    told: Told
    took_us: list[float]  # from the server's send to the bot's callback, of each update that was heard

    @property
    def cpu_us(self) -> float:
        """CPU microseconds of the whole process, an update sent."""
        return self.told.cpu_s / self.sent * 1e6

    @property
    def lost(self) -> int:
        """Count what was sent and never came out."""
        return self.sent - self.told.through


def find_peer(named: str) -> Peer:
    """Look for cryptofeed in the environment that is named. Raises LookupError that says what to install."""
    if not named:
        raise LookupError(f"no environment with cryptofeed was named (--cryptofeed).\n\n{HOW}")
    place = Path(named)
    known = [place, place / "bin" / "python", place / "Scripts" / "python.exe"]
    python = next((each.absolute() for each in known if each.is_file()), None)
    if python is None:
        raise LookupError(f"there is no Python at {named}: found neither a program nor bin/python.\n\n{HOW}")
    look = [str(python), "-c", LOOK, *PACKAGES]
    try:
        done = subprocess.run(look, capture_output=True, text=True, check=True, timeout=LOOK_TIMEOUT_S)
        versions = dict[str, str](json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise LookupError(f"{python} does not run as a Python: {error}\n\n{HOW}") from error
    if missing := [name for name in PACKAGES if not versions[name]]:
        raise LookupError(
            f"Python {versions['python']} at {python} does not have {', '.join(missing)}.\n\n{HOW}"
        )
    return Peer(python, versions)


class Ours(OwnProcess):
    """The collector, in a process of its own."""

    def __init__(self, server: BookServer, folder: Path, setup: Setup, database_url: str | None) -> None:
        self._server = server
        setting = Setting(server.style_name, server.symbols, server.endpoints, folder)
        super().__init__(_run, partial(_make, setup=setup, database_url=database_url), setting)

    def round(self, updates: int, changed: int, per_s: float | None) -> Heard:
        """Send so many updates, flat out or evenly over all symbols in turn."""
        return _round(self._server, self._pipe, updates, changed, per_s)


class Theirs:
    """Cryptofeed, in a process of its own interpreter."""

    def __init__(
        self, peer: Peer, server: BookServer, folder: Path, setup: Setup, database_url: str | None
    ) -> None:
        self._server = server
        self._python = peer.python
        self._folder = folder
        self._pipe, self._there = multiprocessing.Pipe()
        self._setting = {
            **server.endpoints._asdict(),
            **setup._asdict(),
            "symbols": server.symbols,
            "flush_s": FLUSH_S,
            "database": str(folder / "cryptofeed.db"),
        }
        if database_url is not None:
            self._setting["database"] = _postgres(sa.make_url(database_url))

    def __enter__(self) -> Self:
        there = self._there.fileno()
        self._process = subprocess.Popen(
            [str(self._python), str(PROGRAM), str(there), json.dumps(self._setting)],
            pass_fds=[there],
            env={"XDG_CACHE_HOME": str(self._folder)},  # it keeps lists of markets: not in the user's home
        )
        self._there.close()
        if not self._pipe.poll(READY_TIMEOUT_S):
            self._process.kill()
            raise TimeoutError(f"cryptofeed was not ready within {READY_TIMEOUT_S:g} s")
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._pipe.send(None)
            self._process.wait(READY_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()

    def round(self, updates: int, changed: int, per_s: float | None) -> Heard:
        """Send so many updates, flat out or evenly over all symbols in turn."""
        return _round(self._server, self._pipe, updates, changed, per_s)


def _round(server: BookServer, pipe: Pipe, updates: int, changed: int, per_s: float | None) -> Heard:
    order = {server.symbols.index(each): turn for turn, each in enumerate(server.prepare(updates, changed))}
    pipe.send("begin")
    pipe.recv()
    sent = server.release(per_s)
    sent_ns = server.sent_ns()  # none where it was flat out
    pipe.send(sent.updates)
    told = cast("Told", pipe.recv())
    first_ms = sent.last_ms - sent.updates // len(order) + 1
    took_us = []
    if sent_ns:
        heard = zip(told.places, told.of_ms, told.at_ns, strict=True)
        took_us = [
            (at_ns - sent_ns[(of_ms - first_ms) * len(order) + order[place]]) / 1000
            for place, of_ms, at_ns in heard
        ]
    return Heard(sent.updates, told, took_us)


def _postgres(url: sa.URL) -> dict[str, object]:
    """Make its table, as its examples have it, and say in its words where that is."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(POSTGRES_TABLE)
    host = url.query.get("host", url.host)
    return {"host": host, "port": url.port, "user": url.username, "pw": url.password, "db": url.database}


class _Stores:
    """The whole program, without a bot."""

    def __init__(self, setting: Setting, database_url: str | None) -> None:
        self.hearing = Hearing()
        self._program = WholeProgram(setting, database_url=database_url)
        self.start, self.through, self.stop = self._program.start, self._program.seen, self._program.stop


class _Listens:
    """A bot's callback: with a store, or without any."""

    def __init__(self, setting: Setting, database_url: str | None, *, stores: bool) -> None:
        self.hearing = Hearing()
        self._places = {symbol: place for place, symbol in enumerate(setting.symbols)}
        settings = settings_of(setting, database_url)
        self._bot = DataIngestor(settings) if stores else Listener(settings)
        self._bot.add_update_callback(self._on_update)

    def _on_update(self, update: L2Update) -> None:
        self.hearing.note(self._places[update.symbol], update.exchange_ms or 0)

    def start(self) -> None:
        if not self._bot.start():
            raise RuntimeError(str(self._bot.start_failure))

    def through(self) -> int:
        return self.hearing.count

    def stop(self) -> None:
        if not self._bot.stop():
            raise RuntimeError(f"the collector lost something: {self._bot.report}")


def _make(setting: Setting, *, setup: Setup, database_url: str | None) -> Program:
    if setup.listens:
        return _Listens(setting, database_url, stores=setup.store != "none")
    return _Stores(setting, database_url)


def _run(make: Callable[[Setting], Program], setting: Setting, pipe: Pipe) -> None:
    use_newest_sqlite()
    set_up_logging(LogOptions(level="warning"))
    serve(make(setting), len(setting.symbols), pipe)
