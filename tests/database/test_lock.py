import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.database.file_lock import WriterLock
from collector.errors import DatabaseInUse, UserError

HOLD = """
import sys
from pathlib import Path
from collector.database.file_lock import WriterLock
lock = WriterLock(Path(sys.argv[2]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process_holding(database: Path, *, named: str = "collect") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, named, str(database), "password"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_collector_is_told_who_the_first_is(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    with another_process_holding(database) as holder:
        with pytest.raises(DatabaseInUse) as caught:
            WriterLock(database).acquire()
        assert f"process {holder.pid} on {socket.gethostname()}" in str(caught.value)
        assert "-c collect" in str(caught.value)
        assert "password" not in str(caught.value)
        assert str(database) in str(caught.value)
        held = next(path for path in tmp_path.iterdir() if path.name.endswith("lock"))
        assert json.loads(held.read_text())["pid"] == holder.pid


def test_the_lock_of_a_killed_holder_is_free(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    with another_process_holding(database) as holder:
        holder.kill()
        holder.wait()
        with WriterLock(database):
            pass


def test_two_names_of_one_file_clash(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "other.db").symlink_to(tmp_path / "real" / "live.db")
    with WriterLock(tmp_path / "real" / "live.db"):
        for other in (tmp_path / "link" / "live.db", tmp_path / "other.db"):
            with pytest.raises(DatabaseInUse):
                WriterLock(other).acquire()


def test_different_databases_do_not_meet(tmp_path: Path) -> None:
    with WriterLock(tmp_path / "a.db"), WriterLock(tmp_path / "b.db"):
        pass


def test_taking_and_letting_go_twice_is_once(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "live.db")
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    with WriterLock(tmp_path / "live.db"):
        pass


def test_a_holder_that_has_not_given_its_name_yet_is_still_a_holder(tmp_path: Path) -> None:
    with WriterLock(tmp_path / "live.db") as held:
        os.truncate(held.path, 0)
        with pytest.raises(DatabaseInUse, match="not said who it is"):
            WriterLock(tmp_path / "live.db").acquire()


def test_where_no_lock_file_can_be_made_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "live.db.lock").mkdir()
    with pytest.raises(UserError, match=r"cannot make the lock file .*live\.db\.lock"):
        WriterLock(tmp_path / "live.db").acquire()
