"""SIGHUP, to a program without a terminal and to one with; log files that logrotate sets aside."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from meanwhile import RunWhile
from program import CLEAN, ROOT, config
from terminal import Terminal


class Daemon:
    """A collector without a controlling terminal that logs to a file, as a service manager starts it."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.log = folder / "l.log"
        path = config(folder, simulator)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(ROOT / "run.py"), "collect", "--config", path],
            cwd=folder,
            env={**CLEAN, "COLLECTOR_LOGGING__FILE": str(self.log)},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lines(self, path: Path | None = None) -> list[dict[str, Any]]:
        path = path or self.log
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def has(self, event: str, times: int = 1) -> Callable[[], bool]:
        return lambda: sum(line["event"] == event for line in self.lines()) >= times

    def wait(self, condition: Callable[[], bool]) -> None:
        until_s = time.monotonic() + 60.0
        while not condition():
            assert time.monotonic() < until_s, self.lines()
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return self.process.returncode


def test_without_a_terminal_a_hangup_opens_the_log_anew_and_collecting_goes_on(
    tmp_path: Path, simulator: Simulator
) -> None:
    daemon = Daemon(tmp_path, simulator)
    try:
        daemon.wait(daemon.has("coverage.begun"))
        for number, asked in enumerate((signal.SIGHUP, signal.SIGUSR1)):
            aside = tmp_path / f"l.log.old.{number}"
            daemon.log.rename(aside)
            daemon.process.send_signal(asked)
            daemon.wait(daemon.has("log.reopened"))
            assert sum(line["event"] == "log.reopened" for line in daemon.lines(aside)) == number
            assert {line["path"] for line in daemon.lines() if "path" in line} == {str(daemon.log)}
        daemon.process.send_signal(signal.SIGHUP)  # nothing was moved: a habitual postrotate
        daemon.wait(daemon.has("log.reopened", 2))
        daemon.log.rename(tmp_path / "l.log.old.3")  # and nobody says a word
        daemon.wait(daemon.has("log.reopened"))
        assert "moved" in daemon.lines()[0]["why"]
        assert daemon.end() == 0
        assert daemon.lines()[-1]["event"] == "collector.stopped"
    finally:
        daemon.process.kill()


def test_where_there_was_a_terminal_a_hangup_drains_and_ends(
    run_while: RunWhile, tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.cli.running._has_terminal", lambda: True)
    log = tmp_path / "l.log"
    done = run_while(
        lambda running: running.wait_until(
            lambda: log.exists() and "coverage.begun" in log.read_text(), "coverage"
        ),
        *("collect", "--plain", "--config", config(tmp_path, simulator)),
        number=signal.SIGHUP,
        COLLECTOR_LOGGING__FILE=str(log),
    )
    assert done.returncode == 0, done.stderr
    assert "identity: exact" in done.stdout
    assert "collector.stopped" in log.read_text()
    assert "log.reopened" not in log.read_text()


@pytest.mark.proof  # in the short form: above
def test_with_a_terminal_a_hangup_drains_and_ends(tmp_path: Path, simulator: Simulator) -> None:
    log = tmp_path / "l.log"
    environ = {"COLLECTOR_LOGGING__FILE": str(log)}
    terminal = Terminal(
        "collect", "--plain", "--config", config(tmp_path, simulator), cwd=tmp_path, **environ
    )
    try:
        terminal.read_until(lambda: log.exists() and "coverage.begun" in log.read_text())
        os.kill(terminal.process.pid, signal.SIGHUP)
        assert terminal.end() == 0
    finally:
        terminal.process.kill()
    assert "identity: exact" in terminal.text
    assert "collector.stopped" in log.read_text()
    assert "log.reopened" not in log.read_text()


def test_a_terminal_that_goes_away_is_a_hangup(tmp_path: Path, simulator: Simulator) -> None:
    """The kernel takes the terminal away before it tells: it had to be asked for at the start."""
    log = tmp_path / "l.log"
    environ = {"COLLECTOR_LOGGING__FILE": str(log)}
    terminal = Terminal(
        "collect", "--plain", "--config", config(tmp_path, simulator), cwd=tmp_path, **environ
    )
    try:
        terminal.read_until(lambda: log.exists() and "coverage.begun" in log.read_text())
        os.close(terminal._ours)
        terminal.process.wait(60)
    finally:
        terminal.process.kill()
    assert "collector.stopped" in log.read_text()
    assert "log.reopened" not in log.read_text()
