import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from collector.database import migrate
from collector.database.engine import _WriterSetUp, make_engine, sqlite_library
from collector.database.url import database_url
from collector.errors import UserError


def ask(engine: sa.Engine, pragma: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()


def test_a_committed_batch_is_on_the_disk(tmp_path: Path) -> None:
    engine = make_engine(database_url(str(tmp_path / "live.db")))
    assert ask(engine, "journal_mode") == "wal"
    assert ask(engine, "synchronous") == 2
    assert ask(engine, "busy_timeout") == 5000
    assert ask(engine, "journal_size_limit") == 64 * 1024 * 1024
    engine.dispose()


def test_synchronous_can_be_chosen_and_nothing_else_said_in_its_place(tmp_path: Path) -> None:
    url = database_url(str(tmp_path / "live.db"))
    engine = make_engine(url, synchronous="NORMAL")
    assert ask(engine, "synchronous") == 1
    engine.dispose()
    with pytest.raises(UserError, match="expected one of OFF, NORMAL, FULL, EXTRA"):
        make_engine(url, synchronous="full; DROP TABLE x")


def test_a_writer_takes_its_turn_before_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    engine = make_engine(database_url(str(path)))
    with closing(sqlite3.connect(path, timeout=0)) as other, engine.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    engine.dispose()


def test_schema_changes_roll_back(tmp_path: Path) -> None:
    engine = make_engine(database_url(str(tmp_path / "live.db")))
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE half (x)")
        connection.rollback()
        assert not sa.inspect(connection).has_table("half")
    engine.dispose()


def test_a_file_name_may_hold_what_a_url_may_not(tmp_path: Path) -> None:
    path = tmp_path / "live data?#%41.db"
    engine = make_engine(database_url(str(path)))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    engine.dispose()
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_without_shared_memory_it_says_so_once_and_uses_a_rollback_journal(tmp_path: Path) -> None:
    """SQLite's own `unix-none` has no shared memory, as a network mount has none."""
    path = tmp_path / "live.db"
    engine = make_engine(database_url(f"sqlite:///{path}?vfs=unix-none"))
    with capture_logs() as logs:
        for _ in range(2):
            with engine.begin() as connection:
                connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (x)")
            engine.dispose()
    assert [(entry["event"], entry["path"], entry["journal_mode"]) for entry in logs] == [
        ("database.wal_unavailable", str(path), "delete")
    ]
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_wal_file_that_moved_to_where_wal_cannot_be_had_stays_usable(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path)) as before:
        before.execute("PRAGMA journal_mode = WAL")
        before.execute("CREATE TABLE t AS SELECT 7 AS x")
    engine = make_engine(database_url(f"sqlite:///{path}?vfs=unix-none"))
    with capture_logs() as logs, engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (8)")
        assert connection.exec_driver_sql("SELECT x FROM t").scalars().all() == [7, 8]
    engine.dispose()
    told = [(entry["event"], entry["journal_mode"]) for entry in logs]
    assert told == [("database.wal_unavailable", "delete")]


def test_a_file_that_another_program_keeps_busy_is_written_in_the_mode_it_has(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN")
        other.execute("SELECT * FROM t").fetchall()
        engine = make_engine(database_url(str(path)), busy_timeout_s=0.05)
        with capture_logs() as logs:
            assert ask(engine, "journal_mode") == "delete"
        engine.dispose()
    assert [(entry["event"], entry["reason"]) for entry in logs] == [
        ("database.wal_unavailable", "another program is using the file")
    ]


class Recorded:
    """A connection that notes what is said to it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.said: list[str] = []
        self._connection = connection

    def execute(self, statement: str) -> sqlite3.Cursor:
        self.said.append(statement)
        return self._connection.execute(statement)


def test_a_file_that_another_program_has_locked_is_waited_for_once(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
        with closing(sqlite_library().connect(path, isolation_level=None, timeout=0.05)) as connection:
            recorded = Recorded(connection)
            with pytest.raises(sqlite_library().OperationalError, match="locked"):
                _WriterSetUp(path, "FULL", 0.05)(recorded, None)  # type: ignore[arg-type]
            waiting, last = recorded.said[:-3], recorded.said[-3:]
            assert set(waiting) == {"PRAGMA journal_mode = WAL"}
            assert last == ["PRAGMA busy_timeout = 0", "BEGIN IMMEDIATE", "PRAGMA busy_timeout = 50"]
        engine = make_engine(database_url(str(path)), busy_timeout_s=0.05)
        with capture_logs() as logs, pytest.raises(sa.exc.OperationalError, match="locked"):
            engine.connect()
        other.execute("ROLLBACK")
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 50
        engine.dispose()
    assert logs == []


def test_a_reader_sees_what_is_written_and_can_change_nothing(tmp_path: Path) -> None:
    url = database_url(str(tmp_path / "live.db"))
    writer = make_engine(url)
    with writer.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t AS SELECT 1 AS x")
    reader = make_engine(url, read_only=True)
    with writer.begin() as writing, reader.connect() as reading:
        writing.exec_driver_sql("INSERT INTO t VALUES (2)")
        assert reading.exec_driver_sql("SELECT x FROM t").scalars().all() == [1]
        with pytest.raises(sa.exc.OperationalError, match="readonly"):
            reading.exec_driver_sql("INSERT INTO t VALUES (3)")
    writer.dispose()
    reader.dispose()


def test_a_reader_does_not_create_what_it_is_to_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"live\.db does not exist"):
        make_engine(database_url(str(tmp_path / "live.db")), read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_of_postgresql_can_change_nothing(postgres_url: str) -> None:
    engine = make_engine(database_url(postgres_url), read_only=True)
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="read-only"):
        connection.exec_driver_sql("CREATE TABLE t (x int)")
    engine.dispose()


def test_a_writer_s_calls_on_a_server_have_an_end(postgres_url: str) -> None:
    writer = make_engine(database_url(postgres_url), call_timeout_s=0.3)
    other = make_engine(database_url(postgres_url))
    with other.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE held (x INTEGER)")
    with other.begin() as holding:
        holding.exec_driver_sql("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        for statement, code in (("SELECT pg_sleep(60)", "57014"), ("INSERT INTO held VALUES (1)", None)):
            with pytest.raises(sa.exc.OperationalError) as caught, writer.begin() as connection:
                connection.exec_driver_sql(statement)
            state = getattr(caught.value.orig, "sqlstate", None)
            assert state in ({code} if code else {"57014", "55P03"})
    with writer.begin() as connection:
        connection.exec_driver_sql("INSERT INTO held VALUES (1)")
    writer.dispose()
    other.dispose()


def test_a_writer_has_one_connection_to_a_server_watched_by_the_kernel(postgres_url: str) -> None:
    engine = make_engine(database_url(postgres_url), call_timeout_s=20)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        told = driver.info.get_parameters()
        assert (told["connect_timeout"], told["keepalives"], told["tcp_user_timeout"]) == ("10", "1", "20000")
        engine.pool._timeout = 0
        with pytest.raises(sa.exc.TimeoutError):
            engine.connect()
    engine.dispose()


def test_migrating_is_not_held_to_a_batch_s_time(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    change = migrate._change

    def look(connection: sa.Connection, *names: str) -> None:
        seen.append(connection.exec_driver_sql("SHOW statement_timeout").scalar_one())
        change(connection, *names)

    monkeypatch.setattr(migrate, "make_at_once", lambda *_: False)
    monkeypatch.setattr(migrate, "_change", look)
    engine = make_engine(database_url(empty_postgres_url), call_timeout_s=20)
    migrate.bring_to_head(engine, "books", allow=True)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "20s"
    assert seen == ["0"]
    engine.dispose()
