"""`status` and `doctor` name who holds the log of a database by one long read."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from program import Run

READ = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM collector_sessions").fetchone()
print("reading", flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who holds a lock")
def test_a_long_reader_is_named(run: Run, sound: Path, tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    database.write_bytes(sound.read_bytes())
    writer = sqlite3.connect(database)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("UPDATE collector_sessions SET pid = pid")
    writer.commit()
    command = [sys.executable, "-c", READ, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        shown = run("status", "--db", str(database)).stdout
        found = json.loads(run("doctor", "--offline", "--json", "--db", str(database)).stdout)["verdicts"]
        reader.communicate("\n")
    writer.close()
    assert f"process {reader.pid} (" in shown
    assert "has read in one transaction for at least" in shown
    (held,) = [one for one in found if one["name"] == "database log"]
    assert held["level"] == "warn"
    assert f"process {reader.pid} (" in held["found"]
    assert f"process {os.getpid()} (" not in shown
