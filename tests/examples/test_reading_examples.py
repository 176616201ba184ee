"""The examples that read run on what `run.py demo` leaves."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from collector.cli.program import app

ROOT = Path(__file__).resolve().parents[2]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}

pytestmark = pytest.mark.skipif(
    not (find_spec("sklearn") and find_spec("matplotlib")), reason="needs pip install -e '.[research]'"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("demo")
    run(where, ROOT / "run.py", "demo", "--seconds", "4", "--db", "demo.db")
    return where


def run(folder: Path, *words: str | Path) -> str:
    command = [sys.executable, "-W", "error", *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=ENVIRON, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_plot_command_draws(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    words = ["plot", "BTC/USDT:USDT", "--db", "demo.db", "--to", "a.png"]
    assert not app(words, standalone_mode=False)
    assert capsys.readouterr().out == "drawn: a.png\n"
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
