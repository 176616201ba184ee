"""The bot on two exchanges runs as its page says, and a type checker has nothing to say against it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from collector.query.audit import run_audit

ROOT = Path(__file__).resolve().parents[2]
BOT = ROOT / "examples" / "two_exchanges_bot.py"


def test_it_takes_books_trades_and_bars_of_both_and_survives_an_alarm(tmp_path: Path) -> None:
    database = tmp_path / "two.db"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(BOT), "--seconds", "4", "--db", str(database)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    verified, troubles, counts, binance, bybit = done.stdout.splitlines()
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
