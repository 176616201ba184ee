"""The examples that read run on what `run.py demo` leaves."""

import json
import os
import shutil
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


@pytest.mark.proof
def test_the_training_example_judges_a_demo_or_says_that_it_cannot(folder: Path) -> None:
    told = run(folder, ROOT / "examples" / "train_model.py", "demo.db", "--every", "20ms", "--horizon", "5")
    for line in ("model", "most frequent", "same as before"):
        assert f"  {line}" in told
    verdict = told.splitlines()[-1]
    assert verdict.startswith(
        ("the model beats both", "no better than guessing", "too few independent samples")
    )


@pytest.mark.proof
def test_the_notebook_runs_on_a_demo_without_a_warning(folder: Path) -> None:
    notebook = json.loads((ROOT / "examples" / "explore.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    run(folder, "-c", "\n".join([*cells, 'figure.savefig("book.png")', 'after.savefig("after.png")']))
    for name in ("book.png", "after.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_plot_command_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    shutil.copy(ROOT / "trading_bot_live.db.example", tmp_path / "demo.db")
    draw(tmp_path, monkeypatch, capsys)


@pytest.mark.proof
def test_the_plot_command_draws_what_the_demo_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(folder, monkeypatch, capsys)


def draw(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    words = ["plot", "BTC/USDT:USDT", "--db", "demo.db", "--to", "a.png"]
    assert not app(words, standalone_mode=False)
    assert capsys.readouterr().out.startswith("drawn: a.png, bybit BTC/USDT:USDT, book.")
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
