"""`status` knows every session that writes, and every one that died."""

import json
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from collector.database.file_lock import WriterLock
from collector.errors import DatabaseInUse
from collector.events import StreamKey
from collector.query import sessions_now
from collector.sinks.contract import SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, Run, config, start, wait_for_rows

from collector.simulator import Simulator

BEGAN_NS = time.time_ns() - 60 * 10**9


def states(run: Run, database: Path | str) -> list[str]:
    shown = json.loads(run("status", "--db", str(database), "--sessions", "--json").stdout)
    return [one["state"] for one in shown]


@pytest.mark.proof
def test_a_killed_collector_is_dead_and_a_stopped_one_ended(
    run: Run, tmp_path: Path, simulator: Simulator
) -> None:
    database = tmp_path / "live.db"
    process = start("collect", "--config", config(tmp_path, simulator), cwd=tmp_path)
    wait_for_rows(database, process, 5)
    shown = run("status", "--db", str(database), "--check")
    assert shown.returncode == 0
    assert f"writing: process {process.pid} on " in shown.stdout
    assert states(run, database) == ["writing"]
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    dead = run("status", "--db", str(database), "--check")
    assert dead.returncode == 3
    assert f"dead: process {process.pid} on " in dead.stdout
    assert "none writing now" in dead.stdout
    assert run("status", "--db", str(database)).returncode == 0
    assert isinstance(json.loads(run("status", "--db", str(database), "--json").stdout), list)


def test_a_collector_that_lives_and_writes_nothing_is_stale(run: Run, sound: Path, tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    database.write_bytes(sound.read_bytes())
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE collector_sessions SET ended_ns = NULL, end_cause = NULL")
        connection.execute("UPDATE collector_batches SET committed_ns = committed_ns - 3600000000000")
    connection.close()
    with WriterLock(database):
        shown = run("status", "--db", str(database), "--check")
        assert shown.returncode == 4
        assert "stale: process" in shown.stdout
    assert run("status", "--db", str(database), "--check").returncode == 3


@pytest.fixture
def sinks() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def begun(stack: ExitStack, url: str, session_id: str, started_ns: int, symbol: str) -> SqlSink:
    sink = SqlSink(url, auto_migrate=True)
    sink.open()
    stack.callback(sink.close)
    wanted = json.dumps({"bybit": {"symbols": [symbol], "channels": ["bbo"]}})
    session = SessionState(session_id, started_ns, "0", "here", 1, wanted)
    sink.claim(session, [StreamKey("bybit", symbol, "bbo")])
    sink.write(WriteSet(f"of {session_id}", session, (), ()))
    return sink


def test_on_a_server_each_session_is_told_by_its_own_lock(
    run: Run, postgres_url: str, sinks: ExitStack
) -> None:
    """Two write; one of them dies; a third comes after it, closes it as crashed, and goes in order."""
    begun(sinks, postgres_url, "steady", BEGAN_NS, BTC)
    dying = begun(sinks, postgres_url, "dying", BEGAN_NS + 1, "ETH/USDT:USDT")
    assert [one["state"] for one in sessions_now(postgres_url)] == ["writing", "writing"]
    assert run("status", "--db", postgres_url, "--check").returncode == 0
    dying.close()  # the connection goes, and nobody has ended the session
    assert [one["state"] for one in sessions_now(postgres_url)] == ["dead", "writing"]
    assert run("status", "--db", postgres_url, "--check").returncode == 3
    begun(sinks, postgres_url, "third", BEGAN_NS + 2, "SOL/USDT:USDT").close()
    found = {one["session_id"]: one for one in sessions_now(postgres_url)}
    assert (found["steady"]["state"], found["dying"]["state"]) == ("writing", "crashed")
    assert [one["session_id"] for one in found.values() if one["missed"]] == ["third", "dying"]
    assert run("status", "--db", postgres_url, "--check").returncode == 3
    begun(sinks, postgres_url, "heir", BEGAN_NS + 3, "ETH/USDT:USDT")  # collects what the dead one was to
    assert "dying" not in [one["session_id"] for one in sessions_now(postgres_url) if one["missed"]]


def test_who_asks_whether_anybody_writes_refuses_no_collector(tmp_path: Path) -> None:
    """A look at the lock is no lock; nor does it make a file."""
    from collector.database.file_lock import file_holder  # noqa: PLC0415

    lock = WriterLock(tmp_path / "live.db")
    assert file_holder(tmp_path / "live.db") is None
    assert not lock.path.exists()
    with lock:
        assert "process" in str(file_holder(tmp_path / "live.db"))
        with pytest.raises(DatabaseInUse):
            WriterLock(tmp_path / "live.db").acquire()
    assert file_holder(tmp_path / "live.db") is None
    with lock:
        pass
