"""`verify` beside a collector that writes, on both databases, and flat in memory on a large one."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from collector.query.audit import run_audit

sys.path.insert(0, str(Path(__file__).parent.parent / "whole_path"))
from rig import running, stop_and_check

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import on_a_server

HOT = "l2_training_data_practical"


@on_a_server
def test_verify_holds_while_rows_come(any_database: str) -> None:
    with running(any_database, updates_per_s=200.0) as rig:
        seen = []
        for _ in range(4):
            found = run_audit(any_database)
            assert found.passed, found.findings
            seen.append(found.rows)
            rig.wait_until_verified(rows=50 * len(seen))
        stop_and_check(rig)
    assert seen[-1] > seen[0]


def multiplied(source: Path, target: Path, times: int) -> int:
    """Copy a sound database with each row many times over, as another row of another segment."""
    target.write_bytes(source.read_bytes())
    connection = sqlite3.connect(target)
    connection.execute("PRAGMA synchronous = OFF")
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({HOT})") if row[1] != "id"]
    ((segment,),) = connection.execute(
        "SELECT segment_id FROM collector_coverage WHERE channel LIKE 'book.%'"
    ).fetchall()
    columns = ", ".join(names)
    for number in range(1, times):
        copied = ", ".join(f"segment_id + {number}" if name == "segment_id" else name for name in names)
        connection.execute(
            f"INSERT INTO {HOT} ({columns}) SELECT {copied} FROM {HOT} WHERE segment_id = {segment}"
        )
    connection.commit()
    (rows,) = connection.execute(f"SELECT COUNT(*) FROM {HOT}").fetchone()
    connection.close()
    return int(rows)


MEASURED = """
import resource, sys
from collector.query.audit import run_audit
run_audit(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run_audit(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.proof
@pytest.mark.parametrize("times", [200, 12_000])
def test_memory_does_not_grow_with_the_rows(sound: Path, tmp_path: Path, times: int) -> None:
    rows = multiplied(sound, tmp_path / "large.db", times)
    assert rows > 200 * times
    words = [sys.executable, "-c", MEASURED, str(sound), str(tmp_path / "large.db")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    grown_bytes = int(done.stdout) * 1024
    assert grown_bytes < 120_000_000  # a chunk, its arrays, and what SQLite keeps
