"""`archive` beside others, and what `status` and `doctor` say of housekeeping that failed."""

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from collector.database.file_lock import WriterLock
from collector.retention.one_archiver import only_archiver
from collector.retention.stopping import Stop
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
from program import Run

HOT = "l2_training_data_practical"


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for one in statements:
            connection.execute(one)


@pytest.fixture
def copied(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "live.db"))


def test_beside_a_collector_it_is_told_what_to_do_instead(run: Run, copied: Path) -> None:
    with WriterLock(copied):
        done = run("archive", "--db", str(copied), "--days", "1")
    assert done.returncode == 2
    assert "in use by another collector: process" in done.stderr
    assert "set retention.days for it" in done.stderr


def test_beside_another_archiver_of_a_server_it_is_told_whose(run: Run, postgres_url: str) -> None:
    sink = SqlSink(postgres_url, auto_migrate=True)
    sink.open()
    sink.close()
    with only_archiver(postgres_url, Stop()):
        done = run("archive", "--db", postgres_url, "--days", "1")
    assert done.returncode == 2
    assert "moved to files already, by collector archive" in done.stderr
    assert run("archive", "--db", postgres_url, "--days", "1").returncode == 0


def test_status_and_doctor_name_a_chore_that_fails_until_it_works(run: Run, copied: Path) -> None:
    newest = "(SELECT session_id FROM collector_sessions ORDER BY started_ns DESC LIMIT 1)"
    told = "INSERT INTO collector_events (session_id, at_ns, kind, code, detail) VALUES"
    change(copied, f"{told} ({newest}, 5, 'housekeeping', 'archive', 'OSError: no room')")
    assert "job archive failed 1970" in run("status", "--db", str(copied)).stdout
    assert "archive failed last: OSError: no room" in run("doctor", "--offline", "--db", str(copied)).stdout
    change(copied, f"{told} ({newest}, 6, 'housekeeping', 'archive', '')")
    assert "job archive" not in run("status", "--db", str(copied)).stdout


def test_doctor_names_files_that_need_a_person(run: Run, copied: Path, tmp_path: Path) -> None:
    columns = "path, kind, exchange, symbol, date, rows, last_id, sha256, segments, archived_ns, deleted_ns"
    file = "'features', 'bybit', 'X/Y', '2026-03-01', 1, {id}, 'x', '{{}}', 1, {deleted}, {table}"
    rows = {
        tmp_path / "of nobody": file.format(id=1, deleted=2, table="NULL"),
        tmp_path / "begun": file.format(id=2, deleted="NULL", table=f"'{HOT}'"),
        tmp_path / "away": file.format(id=3, deleted=2, table=f"'{HOT}'"),
    }
    values = ", ".join(f"('{path}', {rest})" for path, rest in rows.items())
    change(copied, f"INSERT INTO collector_archive ({columns}, table_name) VALUES {values}")
    done = run("doctor", "--offline", "--db", str(copied), "--json")
    found = [one["found"] for one in json.loads(done.stdout)["verdicts"] if one["name"] == "archive"]
    assert [text.split(":")[0] for text in found] == [*map(str, rows)]
