"""An empty database gets its tables at once, and they are those that the migrations make."""

import pytest
import sqlalchemy as sa

from collector.database import bring_to_head, made_at_once, make_tables, newest_revision, status, upgrade
from collector.database.identifiers import check_table_name
from collector.database.made_at_once import TABLES_ARE_AT

BOOKS = check_table_name("books")


def all_that_is_there(engine: sa.Engine) -> dict[str, object]:
    """Tell of each table its columns in their order, keys, indexes, and how its ids are given."""
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        found: dict[str, object] = {
            name: (
                [
                    (one["name"], str(one["type"]), one["nullable"], one["default"], one.get("identity"))
                    for one in inspector.get_columns(name)
                ],
                inspector.get_pk_constraint(name),
                inspector.get_unique_constraints(name),
                sorted(map(str, inspector.get_indexes(name))),
                inspector.get_foreign_keys(name),
                inspector.get_check_constraints(name),
            )
            for name in inspector.get_table_names()
        }
        if engine.dialect.name == "sqlite":
            texts = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master ORDER BY name")
            found["ids that are never given twice"] = [
                one.name for one in texts if "AUTOINC" in (one.sql or "")
            ]
        return found


def test_the_tables_are_those_that_the_migrations_make(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert newest_revision() == TABLES_ARE_AT
    with monkeypatch.context() as patch:
        patch.setattr("collector.database.migrate._change", None)  # no migration is run
        assert bring_to_head(engine, BOOKS, allow=True)
    assert status(engine).current == TABLES_ARE_AT
    at_once = all_that_is_there(engine)
    assert not bring_to_head(engine, BOOKS, allow=True)
    with engine.begin() as connection:
        for name in sa.inspect(connection).get_table_names():
            connection.exec_driver_sql(f"DROP TABLE {name}")
    upgrade(engine, BOOKS)
    assert all_that_is_there(engine) == at_once


@pytest.mark.parametrize(
    "there", ["CREATE TABLE books (id INTEGER)", "CREATE TABLE collector_archive (path TEXT)"]
)
def test_where_anything_is_there_the_migrations_are_run(sqlite_engine: sa.Engine, there: str) -> None:
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql(there)
        assert not made_at_once.make_at_once(connection, make_tables(BOOKS), TABLES_ARE_AT)


def test_with_a_newer_migration_all_are_run(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_at_once, "TABLES_ARE_AT", "0011")
    assert bring_to_head(engine, BOOKS, allow=True)
    assert status(engine).current == newest_revision()
