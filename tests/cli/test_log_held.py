"""`status` and `doctor` name who holds the log of a database by one long read."""

import json
import os
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))
from long_reader import long_reader
from program import Run


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who holds a lock")
def test_a_long_reader_is_named(run: Run, sound: Path, tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    database.write_bytes(sound.read_bytes())
    writer = sqlite3.connect(database)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("UPDATE collector_sessions SET pid = pid")
    writer.commit()
    with long_reader(database) as pid:
        shown = run("status", "--db", str(database)).stdout
        found = json.loads(run("doctor", "--offline", "--json", "--db", str(database)).stdout)["verdicts"]
    writer.close()
    assert f"process {pid} (" in shown
    assert "has read in one transaction for at least" in shown
    (held,) = [one for one in found if one["name"] == "database log"]
    assert held["level"] == "warn"
    assert f"process {pid} (" in held["found"]
    assert f"process {os.getpid()} (" not in shown
