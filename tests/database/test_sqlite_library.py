import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from collector.database.sqlite_file import sqlite_library

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

WRITE = """
import sys
from collector.database.sqlite_file import sqlite_library, sqlite_version, use_newest_sqlite
if sys.argv[1] == "program":
    use_newest_sqlite()
from collector.sinks.contract import SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink
sink = SqlSink(sys.argv[2])
sink.open()
use_newest_sqlite()
assert not sink.write(WriteSet("b", SessionState("s", 1, "0", "h", 1, "[]"))).repeated
sink.close()
print(sqlite_library().__name__, sqlite_version())
"""


def write_as(role: str, folder: Path) -> list[str]:
    command = [sys.executable, "-c", WRITE, role, lay_tables(str(folder / "live.db"))]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[-1].split()


def test_a_guest_in_a_process_uses_the_sqlite_of_that_process_and_stays_with_it(tmp_path: Path) -> None:
    assert write_as("guest", tmp_path) == ["sqlite3", sqlite3.sqlite_version]
    assert sqlite_library() is sqlite3


def test_our_own_program_uses_the_newest_one(tmp_path: Path) -> None:
    pysqlite3 = pytest.importorskip("pysqlite3", reason="no wheel for this platform")
    assert write_as("program", tmp_path) == ["pysqlite3", pysqlite3.sqlite_version]
