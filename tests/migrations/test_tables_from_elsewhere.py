"""A hot table that somebody else has made: completed where possible, refused by name where not."""

import re

import pytest
import sqlalchemy as sa

from collector.database.migrate import bring_to_head, status
from collector.database.tables import HOT_COLUMNS
from collector.errors import SchemaError
from collector.sinks.contract import Rows, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink

NAME = "l2_training_data_practical"
KEY = {"sqlite": "id INTEGER PRIMARY KEY", "postgresql": "id BIGSERIAL PRIMARY KEY"}
MINIMAL = "timestamp TEXT NOT NULL, symbol TEXT NOT NULL"


def create(engine: sa.Engine, columns: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {NAME} ({columns})")


def create_with(engine: sa.Engine, columns: dict[str, str]) -> None:
    """Create the table with columns of these types."""
    kinds = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    create(engine, f"{KEY[engine.dialect.name]}, {MINIMAL}, {kinds}")


def description(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        return [
            str((name, inspector.get_columns(name), inspector.get_indexes(name)))
            for name in inspector.get_table_names()
        ]


def refusal(engine: sa.Engine) -> str:
    """Return what is said about the table, after seeing that nothing was changed."""
    before = description(engine)
    with pytest.raises(SchemaError) as caught:
        bring_to_head(engine, NAME, allow=True)
    assert description(engine) == before
    assert status(engine).current is None
    assert f"the table {NAME} exists and cannot be used" in str(caught.value)
    return str(caught.value)


def test_missing_columns_and_the_index_are_added_and_the_rows_kept(
    engine: sa.Engine, any_empty_database: str
) -> None:
    create(engine, f"{KEY[engine.dialect.name]}, {MINIMAL}, mine TEXT")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO {NAME} (timestamp, symbol, mine) VALUES ('t', 's', 'm')")
    assert bring_to_head(engine, NAME, allow=True)
    assert not bring_to_head(engine, NAME, allow=True)
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        assert {column["name"] for column in inspector.get_columns(NAME)} == {*HOT_COLUMNS, "mine"}
        assert ["symbol", "exchange", "timestamp"] in [
            index["column_names"] for index in inspector.get_indexes(NAME)
        ]
    engine.dispose()
    sink = SqlSink(any_empty_database, auto_migrate=True)
    sink.open()
    rows = Rows("book", {"timestamp": ["u"], "symbol": ["s"]})
    assert not sink.write(WriteSet("b", SessionState("s", 1, "0", "h", 1, "[]"), (rows,))).repeated
    sink.close()
    with engine.connect() as connection:
        query = f"SELECT id, timestamp, mine, created_at IS NULL FROM {NAME} ORDER BY id"
        old, new = connection.exec_driver_sql(query).fetchall()
    assert tuple(old) == (1, "t", "m", True)
    assert tuple(new) == (2, "u", None, False)


def test_an_index_of_the_same_columns_under_another_name_will_do(engine: sa.Engine) -> None:
    create(engine, f"{KEY[engine.dialect.name]}, {MINIMAL}, exchange TEXT")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE INDEX mine ON {NAME} (symbol, exchange, timestamp, id)")
    bring_to_head(engine, NAME, allow=True)
    with engine.connect() as connection:
        assert [index["name"] for index in sa.inspect(connection).get_indexes(NAME)] == ["mine"]


def test_every_wrong_column_is_named_with_what_was_found_and_expected(engine: sa.Engine) -> None:
    create(engine, f"{KEY[engine.dialect.name]}, timestamp INTEGER, symbol TEXT, spread TEXT, depth REAL")
    said = refusal(engine)
    real = "REAL" if engine.dialect.name == "sqlite" else "DOUBLE PRECISION"
    integer = "INTEGER" if engine.dialect.name == "sqlite" else "BIGINT"
    assert "column timestamp: found INTEGER, expected TEXT" in said
    assert f"column spread: found TEXT, expected {real}" in said
    assert f"column depth: found REAL, expected {integer}" in said
    assert "symbol" not in said.replace("symbols", "")


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        (MINIMAL, "column id: found none"),
        (f"id INTEGER, {MINIMAL}", "primary key: found none, expected id"),
        (
            "id INTEGER PRIMARY KEY, symbol TEXT",
            "column timestamp: found none, expected TEXT, which cannot be added",
        ),
        (
            f"id INTEGER PRIMARY KEY, {MINIMAL}, mine TEXT NOT NULL",
            "column mine: found TEXT NOT NULL without a default",
        ),
        (f"id VARCHAR(36) PRIMARY KEY, {MINIMAL}", r"column id: found VARCHAR\(36\), expected"),
    ],
)
def test_a_table_that_no_column_added_could_mend_is_refused(
    engine: sa.Engine, columns: str, fault: str
) -> None:
    create(engine, columns)
    assert re.search(fault, refusal(engine))


@pytest.mark.parametrize(
    "columns",
    [
        {"exchange": "VARCHAR(32)", "sequence": "BIGINT", "spread": "FLOAT", "created_at": "TIMESTAMP"},
        {
            "exchange": "CHARACTER VARYING(32)",
            "sequence": "INT",
            "spread": "DOUBLE",
            "created_at": "DATETIME",
        },
        {"exchange": "CLOB", "depth": "SMALLINT", "spread": "DOUBLE PRECISION", "created_at": "TEXT"},
    ],
)
def test_sqlite_is_content_with_a_type_of_the_same_affinity(
    sqlite_engine: sa.Engine, columns: dict[str, str]
) -> None:
    create_with(sqlite_engine, columns)
    assert bring_to_head(sqlite_engine, NAME, allow=True)


@pytest.mark.parametrize(
    "columns",
    [
        {"exchange": "BLOB", "sequence": "TEXT", "spread": "TEXT", "created_at": "INTEGER"},
        {"exchange": "INTEGER", "sequence": "REAL", "spread": "INTEGER", "created_at": "REAL"},
        {"exchange": "DECIMAL(10, 2)", "sequence": "NUMERIC", "spread": "DECIMAL(20, 8)"},
        {"exchange": "DATETIME"},
    ],
)
def test_sqlite_refuses_a_type_that_would_change_the_values(
    sqlite_engine: sa.Engine, columns: dict[str, str]
) -> None:
    create_with(sqlite_engine, columns)
    said = refusal(sqlite_engine)
    for column, kind in columns.items():
        assert f"column {column}: found {kind}, expected" in said


@pytest.mark.parametrize(
    "columns",
    [
        {"exchange": "VARCHAR", "sequence": "INT8", "spread": "FLOAT8", "created_at": "TIMESTAMPTZ"},
        {"spread": "FLOAT(53)", "created_at": "TIMESTAMP(6) WITH TIME ZONE"},
    ],
)
def test_postgresql_is_content_with_other_names_of_the_type(
    postgres_engine: sa.Engine, columns: dict[str, str]
) -> None:
    create_with(postgres_engine, columns)
    assert bring_to_head(postgres_engine, NAME, allow=True)


@pytest.mark.parametrize(
    "columns",
    [
        {
            "exchange": ("VARCHAR(16)", "VARCHAR(16)"),
            "sequence": ("INTEGER", "INTEGER"),
            "spread": ("REAL", "REAL"),
            "created_at": ("TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE"),
        },
        {
            "spread": ("NUMERIC", "NUMERIC"),
            "created_at": ("TIMESTAMPTZ(0)", "TIMESTAMP(0) WITH TIME ZONE"),
        },
    ],
)
def test_postgresql_refuses_a_type_that_would_cut_or_round(
    postgres_engine: sa.Engine, columns: dict[str, tuple[str, str]]
) -> None:
    create_with(postgres_engine, {column: kind for column, (kind, _) in columns.items()})
    said = refusal(postgres_engine)
    for column, (_, found) in columns.items():
        assert f"column {column}: found {found}, expected" in said


def test_postgresql_refuses_an_id_that_does_not_number_itself(postgres_engine: sa.Engine) -> None:
    create(postgres_engine, f"id BIGINT PRIMARY KEY, {MINIMAL}")
    assert "column id: found BIGINT, expected BIGINT that numbers itself" in refusal(postgres_engine)


def test_a_view_of_that_name_is_refused(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (x INTEGER)")
        connection.exec_driver_sql(f"CREATE VIEW {NAME} AS SELECT x FROM mine")
    with pytest.raises(SchemaError, match=f"{NAME} is a view"):
        bring_to_head(engine, NAME, allow=True)


def test_a_database_at_head_is_checked_for_a_table_name_new_to_it(engine: sa.Engine) -> None:
    bring_to_head(engine, "other_books", allow=True)
    create(engine, f"{KEY[engine.dialect.name]}, {MINIMAL}, spread TEXT")
    before = description(engine)
    with pytest.raises(SchemaError, match="column spread: found TEXT"):
        bring_to_head(engine, NAME, allow=True)
    assert description(engine) == before
