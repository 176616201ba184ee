"""The bot on two exchanges runs as its page says, and a type checker has nothing to say against it."""

import asyncio
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from collector.query.audit import run_audit
from collector.simulator import Simulator

ROOT = Path(__file__).resolve().parents[2]
BOT = ROOT / "examples" / "two_exchanges_bot.py"


def test_it_takes_books_trades_and_bars_of_both_and_survives_an_alarm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    database = tmp_path / "two.db"
    program = runpy.run_path(str(BOT))
    with Simulator(updates_per_s=60.0) as simulator:
        assert asyncio.run(program["run"](simulator, 3.0, str(database))) == 0
    done = capsys.readouterr()
    assert "Traceback" not in done.err + caplog.text
    verified, troubles, counts, binance, bybit = done.out.splitlines()
    assert re.fullmatch(r"4 of 4 streams verified, \d+ events/s", verified)
    assert troubles.endswith("mismatches 1")
    found = re.fullmatch(r"(\d+) updates, (\d+) bars, \d+ chances, 1 alarms", counts)
    assert found is not None, counts
    assert int(found[1]) > 50
    assert int(found[2]) > 0
    for name, line in (("binance", binance), ("bybit", bybit)):
        assert re.fullmatch(rf"{name}: [\d.]+ / [\d.]+ at \d+, [\d.]+ traded", line), line
    assert run_audit(str(database)).passed


@pytest.mark.proof
def test_it_runs_as_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(BOT), "--seconds", "3"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "4 of 4 streams verified" in done.stdout


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["two_exchanges_bot.py", "paper_bot.py"])
def test_it_is_typed(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(ROOT / "examples" / name)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
