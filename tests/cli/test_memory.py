"""What a program that collects keeps in memory, and what it never even imports."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, CLEAN, config

PROGRAM = """
import sys
from pathlib import Path
from collector.cli.program import run

assert run(sys.argv[1:]) == 0
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024, *sorted(sys.modules))
"""
NEVER = {
    *("rich", "pygments", "alembic", "mako", "cryptography", "charset_normalizer", "pandas", "pyarrow"),
    *("polars", "fastapi", "starlette", "uvicorn", "boto3", "botocore", "fastavro", "psycopg", "unittest"),
    *("sqlalchemy.orm", "sqlalchemy.dialects.postgresql", "ccxt.binance", "ccxt.async_support.kraken"),
}


def collect_alone(
    folder: Path, simulator: Simulator, symbols: Sequence[str], seconds: int
) -> tuple[int, set[str]]:
    """Collect into a new database in a process of its own; return its peak in MB, and what it imported."""
    path = config(folder, simulator, symbols)
    words = ["collect", "--config", path, "--seconds", str(seconds), "--plain", "--no-serve"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=folder,
        env=CLEAN,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "identity: exact" in done.stdout
    peak_mb, *modules = done.stdout.splitlines()[-1].split()
    return int(peak_mb), set(modules)


def test_who_collects_imports_only_what_that_takes(tmp_path: Path, simulator: Simulator) -> None:
    _, modules = collect_alone(tmp_path, simulator, [BTC], seconds=1)
    assert {"ccxt.pro.bybit", "sqlalchemy", "numpy"} <= modules
    assert NEVER & modules == set()


@pytest.mark.proof
def test_a_hundred_symbols_take_little_memory(tmp_path: Path) -> None:
    """The figure on a quiet machine is in docs/benchmarks.md; a busy one lets more wait to be written."""
    symbols = [BTC, *(f"X{number:03d}/USDT:USDT" for number in range(1, 100))]
    with Simulator(symbols={"bybit": symbols}, updates_per_s=30.0) as busy:
        peak_mb, _ = collect_alone(tmp_path, busy, symbols, seconds=15)
    assert peak_mb < 140
