"""At the start of the program: who may be migrated, when, and how often."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from collector.database.engine import make_engine
from collector.database.file_lock import WriterLock
from collector.database.migrate import MigrationStatus, bring_to_head, downgrade, sql_preview, status, upgrade
from collector.database.tables import make_tables
from collector.database.url import database_url
from collector.errors import DatabaseInUse, SchemaError, UserError

NAME = "l2_training_data_practical"
HEAD = "0012"

START = """
import sys
from collector.database.url import database_url
from collector.database.engine import make_engine
from collector.database.migrate import bring_to_head
engine = make_engine(database_url(sys.argv[1]), busy_timeout_s=30)
print("ready", flush=True)
sys.stdin.readline()
print("changed", bring_to_head(engine, "l2_training_data_practical", allow=True), flush=True)
engine.dispose()
"""


def table_names(engine: sa.Engine) -> set[str]:
    with engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names()) - {"sqlite_sequence"}


def test_an_empty_database_is_brought_to_head_once(engine: sa.Engine) -> None:
    assert status(engine) == MigrationStatus(None, HEAD)
    assert bring_to_head(engine, NAME, allow=True)
    assert status(engine) == MigrationStatus(HEAD, HEAD)
    assert table_names(engine) == {*make_tables(NAME).hot.metadata.tables, "collector_alembic_version"}
    assert not bring_to_head(engine, NAME, allow=True)


def test_an_sqlite_file_needs_no_leave_and_a_server_does(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        assert bring_to_head(engine, NAME, allow=False)
        return
    with pytest.raises(SchemaError, match=f"revision none, the collector needs {HEAD}") as caught:
        bring_to_head(engine, NAME, allow=False)
    assert "python run.py migrate up --db 'postgresql+psycopg://" in str(caught.value)
    assert "database.auto_migrate: true" in str(caught.value)
    assert table_names(engine) == set()
    upgrade(engine, NAME)
    assert not bring_to_head(engine, NAME, allow=False)


def test_a_password_is_not_in_the_command_to_run(
    empty_postgres_url: str, open_engine: Callable[[str], sa.Engine]
) -> None:
    url = sa.make_url(empty_postgres_url).set(password="secret").render_as_string(hide_password=False)
    with pytest.raises(SchemaError) as caught:
        bring_to_head(open_engine(url), NAME, allow=False)
    assert "secret" not in str(caught.value)
    assert ":***@" in str(caught.value)


@pytest.mark.parametrize("act", [bring_to_head, upgrade, downgrade, sql_preview])
def test_a_newer_database_is_refused_politely_and_left_alone(
    engine_at_head: sa.Engine, act: Callable[..., object]
) -> None:
    with engine_at_head.begin() as connection:
        connection.exec_driver_sql("UPDATE collector_alembic_version SET version_num = '0999'")
    argument = {bring_to_head: {"allow": True}, downgrade: {"revision": "0001"}}.get(act, {})
    with pytest.raises(SchemaError, match=rf"revision 0999, which .*newest is {HEAD}.*upgrade the collector"):
        act(engine_at_head, NAME, **argument)
    assert status(engine_at_head) == MigrationStatus("0999", HEAD)


def test_processes_that_start_at_once_migrate_once(
    any_empty_database: str, open_engine: Callable[[str], sa.Engine]
) -> None:
    """This process is one of the two."""
    command = [sys.executable, "-c", START, any_empty_database]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        changed = bring_to_head(open_engine(any_empty_database), NAME, allow=True)
        answer = process.communicate(timeout=120)[0].splitlines()[-1]
    finally:
        process.kill()
        process.communicate()
    assert sorted((answer, f"changed {changed}")) == ["changed False", "changed True"]


def test_a_failed_migration_leaves_nothing_behind(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE collector_batches (batch_id INTEGER PRIMARY KEY)")
    before = table_names(engine)
    with pytest.raises(SchemaError, match="table collector_batches exists and cannot be used"):
        bring_to_head(engine, NAME, allow=True)
    assert table_names(engine) == before


def test_a_lost_bookkeeping_table_is_named(engine_at_head: sa.Engine) -> None:
    with engine_at_head.begin() as connection:
        connection.exec_driver_sql("DROP TABLE collector_coverage")
    with pytest.raises(SchemaError, match="collector_coverage is missing"):
        bring_to_head(engine_at_head, NAME, allow=True)


def test_a_lost_unique_index_is_named(engine_at_head: sa.Engine) -> None:
    with engine_at_head.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ux_collector_ohlcv")
    with pytest.raises(SchemaError, match="expected one over exchange, symbol, interval, open_time"):
        bring_to_head(engine_at_head, NAME, allow=True)


def test_another_table_name_in_a_database_at_head_gets_its_table(engine_at_head: sa.Engine) -> None:
    assert bring_to_head(engine_at_head, "other_books", allow=True)
    assert {NAME, "other_books"} <= table_names(engine_at_head)
    assert not bring_to_head(engine_at_head, "other_books", allow=True)
    with engine_at_head.connect() as connection:
        found = [column["name"] for column in sa.inspect(connection).get_columns("other_books")]
    assert found == [column.name for column in make_tables("other_books").hot.columns]


def test_the_longest_name_gets_its_index(engine: sa.Engine) -> None:
    name = "b" * 63
    assert bring_to_head(engine, name, allow=True)
    assert not bring_to_head(engine, name, allow=True)


def test_the_preview_is_what_upgrading_runs_and_changes_nothing(engine: sa.Engine) -> None:
    preview = sql_preview(engine, NAME)
    assert table_names(engine) == set()
    with engine.begin() as connection:
        for statement in preview.split(";"):
            lines = [line for line in statement.splitlines() if line and not line.startswith("--")]
            if lines and lines[0] not in {"BEGIN", "COMMIT"}:
                connection.exec_driver_sql("\n".join(lines))
    assert status(engine) == MigrationStatus(HEAD, HEAD)
    assert not bring_to_head(engine, NAME, allow=True)


def test_the_preview_begins_where_the_database_stands(engine: sa.Engine) -> None:
    upgrade(engine, NAME, "0001")
    preview = sql_preview(engine, NAME)
    assert f"ALTER TABLE {NAME} ADD COLUMN received_at_ns" in preview
    assert f"CREATE TABLE {NAME}" not in preview


def test_nothing_is_migrated_by_hand_under_a_running_collector(sqlite_engine_at_head: sa.Engine) -> None:
    with WriterLock(Path(str(sqlite_engine_at_head.url.database))):
        for act in (upgrade, downgrade):
            with pytest.raises(DatabaseInUse):
                act(sqlite_engine_at_head, NAME, "0001")


def test_a_busy_database_is_said_to_be_busy(sqlite_engine: sa.Engine) -> None:
    path = str(sqlite_engine.url.database)
    impatient = make_engine(database_url(path), busy_timeout_s=0.05)
    with sqlite_engine.begin(), pytest.raises(UserError, match="cannot be migrated: database is locked"):
        bring_to_head(impatient, NAME, allow=True)
    impatient.dispose()


def test_a_database_that_says_two_revisions_is_refused(sqlite_engine_at_head: sa.Engine) -> None:
    with sqlite_engine_at_head.begin() as connection:
        connection.exec_driver_sql("INSERT INTO collector_alembic_version VALUES ('0003')")
    with pytest.raises(SchemaError, match=r"holds 2 revisions \(.*000[34].*\); expected one"):
        status(sqlite_engine_at_head)


def test_what_was_migrated_is_in_the_log_once(sqlite_engine: sa.Engine) -> None:
    with capture_logs() as logs:
        assert bring_to_head(sqlite_engine, NAME, allow=True)
        assert not bring_to_head(sqlite_engine, NAME, allow=True)
    (entry,) = logs
    assert (entry["event"], entry["before"], entry["after"]) == ("database.migrated", None, HEAD)
    assert "live.db" in entry["database"]


def test_threads_of_one_program_migrate_their_databases_side_by_side(tmp_path: Path) -> None:
    """Two bots in one process start at once, each with a database of its own."""
    engines = [make_engine(database_url(str(tmp_path / f"{number}.db"))) for number in range(4)]
    with ThreadPoolExecutor(len(engines)) as pool:
        changed = list(pool.map(lambda engine: bring_to_head(engine, NAME, allow=True), engines))
    assert changed == [True] * len(engines)
    assert {status(engine).current for engine in engines} == {HEAD}
    for engine in engines:
        engine.dispose()
