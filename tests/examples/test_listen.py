"""The example that listens without a database runs against the simulator."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_it_prints_ticks_of_both_markets_tells_a_gap_and_leaves_no_file(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / "listen.py"), "--seconds", "3"]
    done = subprocess.run(
        [*command, "--trouble"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = re.findall(r"^(\S+): ([1-9]\d*) ticks, \d+\.\d\d USDT traded, last", done.stdout, re.MULTILINE)
    assert {symbol for symbol, _ in found} == {"BTC/USDT", "ETH/USDT"}
    assert "alarm: sequence_gap" in done.stdout
    assert "BTC/USDT is verified again, after sequence_gap" in done.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
