"""The program in an empty folder, and an exchange to collect from."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, Run, config, end_all, start


@pytest.fixture(autouse=True)
def none_left_running() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the program to its end, in an empty folder."""

    def run(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        process = start(*words, cwd=tmp_path, **environ)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    return run


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=200.0) as running:
        yield running


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Path:
    """Return a database that a collector left, in which all holds."""
    folder = tmp_path_factory.mktemp("sound")
    process = start("collect", "--config", config(folder, simulator), "--seconds", "2", cwd=folder)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return folder / "live.db"


@pytest.fixture(scope="module")
def sound_market(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Path:
    """Return a database of books, best prices, trades and bars, in which all holds."""
    folder = tmp_path_factory.mktemp("market")
    path = config(folder, simulator, channels=("book.50", "bbo", "trade", "ohlcv.1m"))
    process = start("collect", "--config", path, "--seconds", "3", cwd=folder)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return folder / "live.db"
