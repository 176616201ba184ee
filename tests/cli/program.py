"""Start the program as a person does, and look at what it leaves."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.app.collector import Collector
from collector.app.wiring import make_collector
from collector.settings import load_settings
from collector.simulator import Simulator

ROOT = Path(__file__).resolve().parents[2]
BTC = "BTC/USDT:USDT"
OURS = re.compile(r"COLLECTOR_.*|SYMBOLS|EXCHANGE|[A-Z]+_(TESTNET|(\w+_)?API_(KEY|SECRET))")
CLEAN = {name: value for name, value in os.environ.items() if not OURS.fullmatch(name)}

STARTED: list["subprocess.Popen[str]"] = []

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def start(*words: str, cwd: Path, **environ: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(ROOT / "run.py"), *words],
        cwd=cwd,
        env={**CLEAN, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(process)
    return process


def end_all() -> None:
    """Leave no program running, however a test ended."""
    for process in STARTED:
        if process.poll() is None:
            process.kill()
        process.communicate()
    STARTED.clear()


def config(
    folder: Path,
    simulator: Simulator,
    symbols: Sequence[str] = (BTC,),
    channels: Sequence[str] = ("book.50",),
) -> str:
    endpoints = simulator.endpoints("bybit")
    path = folder / "config.yaml"
    settings = {
        "exchanges": {
            "bybit": {"symbols": list(symbols), "channels": list(channels), "endpoints": endpoints}
        },
        "database": {"url": str(folder / "live.db")},
        "writer": {"interval_s": 0.1},
        "stream": {"backoff_base_s": 0.05},
    }
    path.write_text(json.dumps(settings))  # JSON is YAML
    return str(path)


@contextmanager
def collecting(
    folder: Path, simulator: Simulator, channels: Sequence[str] = ("book.50",), **overrides: object
) -> Iterator[Collector]:
    """Collect in this process, as the program does with that configuration; all must end well."""
    path = Path(config(folder, simulator, channels=channels))
    collector = make_collector(load_settings(path, overrides=overrides, environ={}, env_file=None))
    collector.start()
    try:
        yield collector
    finally:
        report = collector.stop()
    assert report.good, report


def wait_for_committed(collector: Collector, rows: int) -> None:
    until_s = time.monotonic() + 60.0
    while collector.writer.committed.rows < rows:
        assert time.monotonic() < until_s, f"{rows} rows did not come"
        time.sleep(0.02)


def count_rows(database: Path) -> int:
    if not database.exists():
        return 0
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM l2_training_data_practical").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        connection.close()


def wait_for_rows(database: Path, process: "subprocess.Popen[str]", rows: int) -> None:
    for _ in range(3000):
        if count_rows(database) >= rows:
            return
        assert process.poll() is None, process.communicate()
        signal.sigtimedwait([], 0.01)
    pytest.fail(f"{rows} rows did not come")
