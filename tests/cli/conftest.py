"""The program in an empty folder, and an exchange to collect from."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import structlog

from collector.cli import main
from collector.database import sqlite_file as sqlite_library
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from meanwhile import Running, RunWhile, run_while
from program import BTC, CLEAN, ROOT, Run, collecting, end_all, start, wait_for_committed


@pytest.fixture(autouse=True)
def none_left_running() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture
def running() -> Running:
    """Give what a script sees of the command that `run` runs."""
    return Running()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: Running) -> Run:
    """Run a command to its end, in an empty folder and in this process, which has imported all it needs."""
    monkeypatch.setattr(sqlite_library, "use_newest_sqlite", lambda: None)  # this process is not its alone
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        with monkeypatch.context() as patch, as_it_was():
            for name in set(os.environ) - set(CLEAN):
                patch.delenv(name)
            for name, value in environ.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", [str(ROOT / "run.py"), *words])
            encoding = environ.get("PYTHONIOENCODING", "utf-8")
            out, err = (io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2))
            running.streams = (out, err)
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
                main(list(words))
        texts = [stream.buffer.getvalue().decode(encoding) for stream in (out, err)]
        return subprocess.CompletedProcess(words, left.value.code, *texts)

    return run


@pytest.fixture(name="run_while")
def run_while_script(run: Run, running: Running) -> RunWhile:
    """Run a command in this process until a script that is told of it has returned; then a signal ends it."""

    def run_it(
        script: Callable[[Running], None], *words: str, number: int = signal.SIGTERM, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        return run_while(run, running, script, words, number, environ)

    return run_it


@contextmanager
def as_it_was() -> Iterator[None]:
    """Give signals back to whom they were taken from, and log as before."""
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in handled}
    logging = structlog.get_config()
    try:
        yield
    finally:
        structlog.configure(**logging)
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture
def run_alone(tmp_path: Path) -> Run:
    """Run the program to its end as a person does, in an empty folder and in a process of its own."""

    def run(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        process = start(*words, cwd=tmp_path, **environ)
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    return run


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=100.0) as running:
        yield running


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database that a collector left, in which all holds. Copy it to change it."""
    return collected(tmp_path_factory.mktemp("sound"), ("book.50",), rows=400)


@pytest.fixture
def sound_server(postgres_url: str, tmp_path: Path) -> str:
    """Return the URL of a database on a server that a collector left."""
    told = {
        "database.url": postgres_url,
        "database.auto_migrate": True,
        "spool.path": str(tmp_path / "spool"),
    }
    collected(tmp_path, ("book.50",), 200, **told)
    return postgres_url


@pytest.fixture(scope="session")
def sound_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database of books, best prices, trades and bars, in which all holds. Copy it to change it."""
    return collected(tmp_path_factory.mktemp("market"), ("book.50", "bbo", "trade", "ohlcv.1m"), rows=600)


def collected(folder: Path, channels: tuple[str, ...], rows: int, **overrides: object) -> Path:
    """Collect so many rows of a market in this process."""
    with (
        Simulator(symbols={"bybit": [BTC]}, updates_per_s=500.0) as busy,
        collecting(folder, busy, channels, **overrides) as collector,
    ):
        wait_for_committed(collector, rows)
    return folder / "live.db"
