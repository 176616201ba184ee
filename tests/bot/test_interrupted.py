"""Ctrl-C while it stops, and a program that ends without stopping it: the stop is finished all the same."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector import create_data_ingestor
from collector.bot.unbroken import unbroken
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import config, threads

ROOT = Path(__file__).resolve().parents[2]
BEGIN = """
import logging, signal, sys, threading, time
from collector import create_data_ingestor
from collector.simulator import Simulator

logging.basicConfig(level=logging.INFO)
simulator = Simulator(symbols={"bybit": ["BTC/USDT:USDT"]}, updates_per_s=60.0).__enter__()
ingestor = create_data_ingestor({"endpoints": simulator.endpoints("bybit"), "write_interval": 30.0})
seen = []
ingestor.add_update_callback(seen.append)
assert ingestor.start(), ingestor.start_failure
while len(seen) < 60:
    time.sleep(0.01)
"""


def run(folder: Path, script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", BEGIN + textwrap.dedent(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def sessions(folder: Path) -> list[str | None]:
    with sqlite3.connect(folder / "trading_bot_live.db") as connection:
        found = connection.execute("SELECT end_cause FROM collector_sessions ORDER BY started_ns").fetchall()
    connection.close()
    return [cause for (cause,) in found]


@pytest.fixture
def sigint() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt in the main thread, which is the test's, as in any program."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(times: int) -> None:
    """Press Ctrl-C so often, from another thread."""
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("sigint")
def test_work_is_done_to_its_end_before_the_interrupt_is_raised() -> None:
    done: list[str] = []

    def work() -> None:
        interrupt(2)
        done.append("done")

    with pytest.raises(KeyboardInterrupt):
        unbroken("work", work)
    assert done == ["done"]
    assert unbroken("work", lambda: 7) == 7
    with pytest.raises(ValueError, match="mine"):
        unbroken("work", lambda: int("mine"))


@pytest.mark.usefixtures("sigint")
def test_ctrl_c_while_it_stops_finishes_the_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator(updates_per_s=60.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path))
        close = ingestor._close

        def closes_slowly(timeout: Any) -> None:
            interrupt(3)  # an impatient one
            close(timeout)

        assert ingestor.start()
        monkeypatch.setattr(ingestor, "_close", closes_slowly)
        with pytest.raises(KeyboardInterrupt):
            ingestor.stop()
        monkeypatch.undo()
        assert ingestor.phase == "stopped"
        assert threads() == []
        assert ingestor.stop()
        assert ingestor.report is not None
        assert ingestor.report.good
        assert ingestor.start(), ingestor.start_failure
        assert ingestor.stop()
    assert sessions(tmp_path) == ["stop", "stop"]


@pytest.mark.usefixtures("sigint")
def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(*_: object) -> bool:
        interrupt(1)
        return False

    monkeypatch.setattr("collector.bot.awaited.Awaited.wait", waits)
    with Simulator(updates_per_s=60.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path))
        with pytest.raises(KeyboardInterrupt):
            ingestor.start(60.0)
        assert ingestor.phase == "stopped"
        assert [name for name in threads() if name != "markets"] == []
        assert ingestor.stop()
    assert sessions(tmp_path) == ["stop"]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param("", 0, marks=pytest.mark.proof),
        pytest.param("sys.exit(3)", 3, marks=pytest.mark.proof),
        pytest.param("raise ValueError('mine')", 1, marks=pytest.mark.proof),
        pytest.param("signal.raise_signal(signal.SIGINT)", -signal.SIGINT, marks=pytest.mark.proof),
        ("threading.Thread(target=lambda: (time.sleep(0.5), print(ingestor.phase))).start()", 0),
    ],
)
def test_a_program_that_ends_without_stop_drains_and_says_so(tmp_path: Path, end: str, code: int) -> None:
    done = run(tmp_path, end)
    assert done.returncode == code, done.stderr[-3000:]
    assert "the program ends without stop(): it is stopped now" in done.stderr
    assert "lost_nothing=True" in done.stderr
    assert sessions(tmp_path) == ["stop"]
    assert done.stdout == ("running\n" if "Thread" in end else "")  # it runs for as long as the program does
    with sqlite3.connect(tmp_path / "trading_bot_live.db") as connection:
        (rows,) = connection.execute("SELECT count(*) FROM l2_training_data_practical").fetchone()
    connection.close()
    assert rows > 50
