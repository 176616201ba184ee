"""A start whose database is away: it is waited for, unless that is not wanted."""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from meanwhile import Running, RunWhile
from program import BTC, config, count_rows, start

sys.path.insert(0, str(Path(__file__).parents[1]))
from held_file import held

QUICK = {"COLLECTOR_DATABASE__BUSY_TIMEOUT_S": "0.3"}
NOWHERE = "postgresql://somebody:hunter2@127.0.0.1:1/nothing"


class Listening:
    """Reads what a process says on standard error, line by line, while it runs."""

    def __init__(self, process: "object") -> None:
        self.lines: list[str] = []
        self._come = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)  # type: ignore[attr-defined]
        self._thread.start()

    def _read(self, stream: Iterator[str]) -> None:
        for line in stream:
            with self._come:
                self.lines.append(line)
                self._come.notify_all()

    def wait_for(self, words: str, timeout_s: float = 60.0) -> None:
        with self._come:
            found = self._come.wait_for(lambda: any(words in line for line in self.lines), timeout_s)
        assert found, self.lines

    def end(self) -> str:
        self._thread.join(60.0)
        return "".join(self.lines)


@pytest.mark.parametrize("without_waiting", [False, pytest.param(True, marks=pytest.mark.proof)])
def test_a_locked_file_is_waited_for_and_then_collected_into(
    run_while: RunWhile, tmp_path: Path, simulator: Simulator, without_waiting: bool
) -> None:
    database = tmp_path / "live.db"

    def free(running: Running) -> None:
        running.wait_for("database.waited_for")
        assert not running.is_over.is_set()
        holder.execute("COMMIT")
        running.wait_for_rows(database, 5)

    with held(database) as holder:
        done = run_while(free, "collect", "--config", config(tmp_path, simulator), **QUICK)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    (waiting,) = [line for line in lines if line["event"] == "database.waited_for"]
    assert "database is locked" in waiting["reason"]
    assert "nothing is collected" in waiting["what_next"]
    assert [line["event"] for line in lines].count("database.answers") == 1
    if without_waiting:
        ends_at_once_where_it_is_not_to_wait(tmp_path, simulator, database)
    collects_while_it_is_locked(run_while, tmp_path, simulator, database)


def ends_at_once_where_it_is_not_to_wait(folder: Path, simulator: Simulator, database: Path) -> None:
    """A database that is known is no reason to begin: no socket, no spool, no row."""
    rows, sent = count_rows(database), len(simulator.truth.sent("bybit", BTC, "book.50"))
    assert (folder / "live.db.known").exists()
    with held(database) as holder:
        words = ("collect", "--no-wait", "--seconds", "2", "--config", config(folder, simulator))
        process = start(*words, cwd=folder, **QUICK)
        _, err = process.communicate(timeout=60)
        holder.execute("COMMIT")
    assert process.returncode == 75
    assert "database is locked" in err
    assert "collector.started" not in err
    assert len(simulator.truth.sent("bybit", BTC, "book.50")) == sent
    assert not list(folder.glob("*spool*"))
    assert count_rows(database) == rows


def collects_while_it_is_locked(
    run_while: RunWhile, folder: Path, simulator: Simulator, database: Path
) -> None:
    """Now it is known: what comes meanwhile goes to the spool."""
    rows = count_rows(database)

    def free(running: Running) -> None:
        running.wait_for("database.away_at_start")
        running.wait_for("collector.started")
        holder.execute("COMMIT")
        running.wait_for("database.answers")
        running.wait_for_rows(database, rows + 5)

    with held(database) as holder:
        done = run_while(free, "collect", "--config", config(folder, simulator), **QUICK)
    assert done.returncode == 0, done.stderr
    assert "database.waited_for" not in done.stderr


@pytest.mark.proof
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_for_a_server_ends_at_once_when_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    process = start("collect", "--symbols", BTC, cwd=tmp_path, COLLECTOR_DATABASE__URL=NOWHERE)
    said = Listening(process)
    said.wait_for("database.waited_for")
    began_s = time.monotonic()
    process.send_signal(number)
    assert process.wait(60) == 0
    assert time.monotonic() - began_s < 5.0
    assert "hunter2" not in said.end()


@pytest.mark.proof
def test_it_ends_at_once_even_while_an_attempt_hangs(tmp_path: Path) -> None:
    """A server that takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://somebody@127.0.0.1:{port}/nothing"
        process = start("collect", "--symbols", BTC, cwd=tmp_path, COLLECTOR_DATABASE__URL=url)
        accepted, _ = silent.accept()
        with accepted:
            accepted.recv(8)  # it has asked; nothing will answer
            began_s = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        assert process.returncode == 0
        assert time.monotonic() - began_s < 5.0


@pytest.mark.proof  # in the short form: test_commands.py, where no password is shown
def test_without_waiting_the_exit_code_says_try_again(tmp_path: Path) -> None:
    process = start("collect", "--no-wait", "--symbols", BTC, cwd=tmp_path, COLLECTOR_DATABASE__URL=NOWHERE)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "Traceback" not in err
    assert "Connection refused" in err
    assert "hunter2" not in err


@pytest.mark.proof
def test_the_time_to_collect_includes_the_wait(tmp_path: Path) -> None:
    words = ("collect", "--seconds", "0.5", "--symbols", BTC)
    process = start(*words, cwd=tmp_path, COLLECTOR_DATABASE__URL=NOWHERE)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "Traceback" not in err


@pytest.mark.proof
def test_what_waiting_does_not_mend_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("a letter, long enough to be more than the header of SQLite" * 20)
    process = start("collect", "--symbols", BTC, "--db", "letter.db", cwd=tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == 2


@pytest.mark.proof
def test_a_service_manager_hears_that_it_waits(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        environ = {"COLLECTOR_DATABASE__URL": NOWHERE, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}
        process = start("collect", "--symbols", BTC, cwd=tmp_path, **environ)
        first = manager.recv(4096).decode()
        assert "READY=1" in first
        assert "STATUS=waiting for the database" in first
        assert "WATCHDOG=1" in manager.recv(4096).decode()
        os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
