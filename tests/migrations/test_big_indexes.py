"""A big table from elsewhere gets its index beside those who write it, and it is said before it begins."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from collector.database import big_indexes
from collector.database.engine import make_engine
from collector.database.migrate import bring_to_head
from collector.database.tables import range_index_name
from collector.database.url import database_url

NAME = "l2_training_data_practical"


@pytest.fixture(autouse=True)
def every_table_is_big(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(big_indexes.build_big_indexes, "__kwdefaults__", {"big_bytes": 1})


@pytest.fixture
def server(empty_postgres_url: str) -> Iterator[sa.Engine]:
    engine = make_engine(database_url(empty_postgres_url), call_timeout_s=30.0)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE {NAME} (id BIGSERIAL PRIMARY KEY, timestamp TEXT NOT NULL, symbol TEXT NOT NULL)"
        )
        connection.exec_driver_sql(f"INSERT INTO {NAME} (timestamp, symbol) VALUES ('t', 's')")
    yield engine
    engine.dispose()


def test_on_a_server_the_index_is_built_beside_those_who_write(server: sa.Engine) -> None:
    """Inside the transaction it would wait for every writer, and stop every other."""
    statements: list[str] = []
    sa.event.listen(
        server, "before_cursor_execute", lambda _c, _u, text, *_: statements.append(str(text)), named=False
    )
    with capture_logs() as lines:
        assert bring_to_head(server, NAME, allow=True)
    built = [one for one in statements if "CREATE INDEX" in one and NAME in one]
    assert len(built) == 1
    assert "CREATE INDEX CONCURRENTLY" in built[0]
    (begins,) = [one for one in lines if one["event"] == "database.index_begins"]
    assert (begins["table"], begins["meanwhile"]) == (NAME, "others go on writing")
    assert begins["size_bytes"] > 0
    assert not bring_to_head(server, NAME, allow=True)
    with server.connect() as connection:
        valid = connection.exec_driver_sql("SELECT bool_and(indisvalid) FROM pg_index").scalar()
        timeout = connection.exec_driver_sql("SHOW statement_timeout").scalar()
    assert (valid, timeout) == (True, "30s")


def test_what_a_try_that_was_broken_off_has_left_is_no_index(server: sa.Engine) -> None:
    name = range_index_name(NAME)
    with server.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {NAME} ADD COLUMN exchange TEXT")
        connection.exec_driver_sql(f"CREATE INDEX {name} ON {NAME} (symbol, exchange, timestamp)")
        connection.exec_driver_sql(
            f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass"
        )
    assert bring_to_head(server, NAME, allow=True)
    with server.connect() as connection:
        question = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{name}'::regclass"
        assert connection.exec_driver_sql(question).scalar() is True


def test_of_a_file_it_is_said_before_it_begins(tmp_path_factory: pytest.TempPathFactory) -> None:
    engine = make_engine(database_url(str(tmp_path_factory.mktemp("big") / "live.db")))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE {NAME} (id INTEGER PRIMARY KEY, timestamp TEXT NOT NULL, symbol TEXT NOT NULL)"
        )
    with capture_logs() as lines:
        assert bring_to_head(engine, NAME, allow=False)
        assert not bring_to_head(engine, NAME, allow=False)
    events = [one["event"] for one in lines]
    assert events.count("database.index_begins") == 1
    assert events.index("database.index_begins") < events.index("database.migrated")
    (begins,) = [one for one in lines if one["event"] == "database.index_begins"]
    assert begins["meanwhile"] == "nobody else can write this file"
    engine.dispose()
