"""All of it on this machine by one command, and the Kinesis of this machine alone."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from collector.cli.commands.local.children import Child
from collector.errors import UserError

sys.path.insert(0, str(Path(__file__).parent))
from program import CLEAN, ROOT, Run, start
from terminal import Terminal

DEADLINE_S = 90.0
LOCAL = yaml.safe_load((ROOT / "config" / "local.yaml").read_text(encoding="utf-8"))


def unused_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def taken_port() -> Iterator[int]:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield int(one.getsockname()[1])


def local_config(folder: Path, port: int) -> None:
    """Write config/local.yaml as it is, but for the port of its exchanges."""
    text = (ROOT / "config" / "local.yaml").read_text(encoding="utf-8")
    (folder / "config").mkdir()
    (folder / "config" / "local.yaml").write_text(text.replace(":8900", f":{port}"), encoding="utf-8")


def rows(database: Path) -> list[tuple[object, ...]]:
    """Return all book rows as any database of the same events has them."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        try:
            found = connection.execute("SELECT * FROM l2_training_data_practical").fetchall()
        except sqlite3.OperationalError:  # not made yet
            return []
    own = {"id", "created_at"}
    return sorted(tuple(str(row[name]) for name in row.keys() if name not in own) for row in found)  # noqa: SIM118


def children_of(number: int) -> set[int]:
    """Return the processes that a process has begun."""
    listed = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="utf-8")
    return {int(one) for one in listed.split()}


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_configuration_needs_nothing_of_aws() -> None:
    assert "followers" not in LOCAL
    assert {url for one in LOCAL["exchanges"].values() for url in one["endpoints"].values()} == {
        "http://127.0.0.1:8900",
        "ws://127.0.0.1:8900",
    }


@pytest.mark.parametrize("which", ["simulator", "kinesis", "dashboard"])
def test_a_port_that_is_in_use_is_told(run: Run, tmp_path: Path, taken_port: int, which: str) -> None:
    ports = {name: unused_port() for name in ("simulator", "kinesis", "dashboard")} | {which: taken_port}
    local_config(tmp_path, ports["simulator"])
    words = ["local", "--kinesis-port", str(ports["kinesis"]), "--seconds", "1"]
    done = run(*words, COLLECTOR_SERVE__PORT=str(ports["dashboard"]))
    assert done.returncode == 2
    assert f"port {taken_port}" in done.stderr
    option = {"simulator": "another", "kinesis": "--kinesis-port", "dashboard": "COLLECTOR_SERVE__PORT"}[
        which
    ]
    assert option in done.stderr
    assert not (tmp_path / "local.db").exists()


def test_exchanges_that_are_not_to_be_simulated_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "live.yaml").write_text("exchanges: {bybit: {symbols: [BTCUSDT]}}\n", encoding="utf-8")
    words = ["local", "--config", "live.yaml", "--kinesis-port", str(unused_port())]
    done = run(*words, COLLECTOR_SERVE__PORT="0")
    assert done.returncode == 2
    assert "endpoints of all of them at one port of 127.0.0.1" in done.stderr


def test_two_databases_are_refused(run: Run) -> None:
    done = run("local", "--postgres", "--db", "x.db")
    assert (done.returncode, "choose one" in done.stderr) == (2, True)


def test_kinesis_has_its_streams_until_it_is_stopped(tmp_path: Path) -> None:
    from collector.aws import make_client  # noqa: PLC0415

    port = unused_port()
    running = start("kinesis", "--port", str(port), "--stream", "one", "--stream", "two", cwd=tmp_path)
    assert running.stdout is not None
    lines = [running.stdout.readline() for _ in range(3)]
    assert lines[1:] == [
        f"  kinesis://us-east-1/{name}?endpoint=http://127.0.0.1:{port}\n" for name in ("one", "two")
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        endpoint = f"http://127.0.0.1:{port}"
        with closing(make_client("kinesis", "us-east-1", endpoint, call_timeout_s=20.0)) as client:
            assert client.list_streams()["StreamNames"] == ["one", "two"]
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=DEADLINE_S)
    assert (running.returncode, err) == (0, "")


def test_a_child_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Child(["simulate", "--port", "x"], tmp_path / "logs" / "simulate.log") as child:
        child.wait(DEADLINE_S)
        with pytest.raises(UserError, match=r"`simulate` ended with 2: .*'--port'"):
            child.fail_if_ended()


CHILD = """
import os, time
from collector.cli.commands.local.children import end_with_parent
end_with_parent(os.getppid())
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked to do it")
def test_a_child_ends_with_its_parent_however_that_ends() -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        wait_until_gone({child})


def wait_until_gone(numbers: set[int]) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while any(map(is_alive, numbers)):
        assert time.monotonic() < until_s
        time.sleep(0.02)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Terminal]:
    """Run it on a terminal, with a consumer, until rows were read back."""
    local_config(tmp_path, unused_port())
    serve = {"COLLECTOR_SERVE__ENABLED": "true", "COLLECTOR_SERVE__PORT": str(unused_port())}
    words = ["local", "--consume", "--kinesis-port", str(unused_port())]
    program = Terminal(*words, cwd=tmp_path, columns=200, **serve)
    try:
        program.read_until(lambda: bool(rows(tmp_path / "consumed.db")), DEADLINE_S)
        assert f"http://127.0.0.1:{serve['COLLECTOR_SERVE__PORT']}/" in program.text
        assert f"endpoint=http://127.0.0.1:{words[-1]}" in program.text
        assert "/ingestor-heartbeat?" in (tmp_path / "local" / "kinesis.log").read_text(encoding="utf-8")
        yield program
    finally:
        program.close()


@pytest.mark.proof
def test_ctrl_c_on_a_terminal_ends_it_all_and_both_databases_have_the_same_rows(
    tmp_path: Path, both: Terminal
) -> None:
    begun = children_of(both.process.pid)
    assert len(begun) == 2
    both.type("\x03")
    assert both.end(DEADLINE_S) == 0, both.text
    assert "identity: exact" in both.text
    assert "records read" in both.text
    assert "not_sent" not in both.text, "the stream of heartbeats is there as well"
    assert "ingestor-heartbeat" in (tmp_path / "local" / "kinesis.log").read_text()
    assert rows(tmp_path / "local.db") == rows(tmp_path / "consumed.db") != []
    assert not any(map(is_alive, begun))
    for name in ("local.db", "consumed.db"):
        command = [sys.executable, str(ROOT / "run.py"), "verify", "--db", name]
        done = subprocess.run(command, cwd=tmp_path, env=CLEAN, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.proof
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked to do it")
def test_nothing_is_left_of_one_that_was_killed(both: Terminal) -> None:
    begun = children_of(both.process.pid)
    both.process.kill()
    both.process.wait()
    wait_until_gone(begun)


@pytest.mark.proof
def test_it_collects_into_a_postgresql_of_its_own_twice(tmp_path: Path) -> None:
    tmp_path.parent.chmod(0o755)
    for folder in (tmp_path, tmp_path.parent.parent):
        folder.chmod(0o755)  # run by root, the server is another user
    local_config(tmp_path, unused_port())
    for _ in range(2):
        words = ["local", "--postgres", "--plain", "--seconds", "3", "--kinesis-port", str(unused_port())]
        done = start(*words, cwd=tmp_path, COLLECTOR_SERVE__PORT="0")
        out, err = done.communicate(timeout=DEADLINE_S)
        assert done.returncode == 0, out + err
        assert "identity: exact" in out
        assert not (tmp_path / "local" / "postgres" / "data" / "postmaster.pid").exists()
