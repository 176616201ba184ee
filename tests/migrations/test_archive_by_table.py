"""Files that were archived before their table was recorded are given one, where that can be told."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.database.migrate import bring_to_head, downgrade, sql_preview, upgrade
from collector.database.tables import make_tables
from collector.query.database import reading
from collector.query.rows.archive_files import archived

NAME, OTHER = "l2_training_data_practical", "other_books"


def file_of(kind: str, path: str, segments: dict[int, list[int]], **more: Any) -> dict[str, Any]:
    known = {"exchange": "bybit", "symbol": "BTC/USDT", "date": "2026-03-01", "rows": 5, "last_id": 5}
    rest = {"sha256": "x", "segments": json.dumps(segments), "archived_ns": 1, "deleted_ns": 2}
    return {"path": path, "kind": kind, **known, **rest, **more}


def put(engine: sa.Engine, table: str, *rows: dict[str, Any]) -> None:
    with engine.begin() as connection:
        names = sa.table(table, *map(sa.column, rows[0]))
        connection.execute(sa.insert(names), list(rows))


def named(engine: sa.Engine) -> dict[str, str | None]:
    with engine.connect() as connection:
        return dict(connection.execute(sa.text("SELECT path, table_name FROM collector_archive")).all())


@pytest.fixture
def before(engine: sa.Engine) -> sa.Engine:
    """Give a database at the revision before."""
    upgrade(engine, NAME, "0005")
    return engine


def test_with_one_book_table_all_files_are_of_its_rows(before: sa.Engine) -> None:
    put(
        before,
        "collector_archive",
        file_of("features", "f", {}),
        file_of("levels", "l", {}),
        file_of("trades", "t", {}),
    )
    upgrade(before, NAME)
    assert named(before) == {"f": NAME, "l": "collector_l2_levels", "t": "collector_trades"}


def test_with_several_the_sessions_of_the_rows_tell(before: sa.Engine) -> None:
    bring_to_head(before, OTHER, allow=True)
    downgrade(before, NAME, "0005")
    book = {"timestamp": "2026-03-02T00:00:00.000000Z", "symbol": "BTC/USDT", "exchange": "bybit"}
    put(before, NAME, {**book, "segment_id": 11})
    put(before, OTHER, {**book, "segment_id": 22})
    segment = {
        "exchange": "bybit",
        "symbol": "BTC/USDT",
        "channel": "book.50",
        "start_ns": 1,
        "end_ns": 1,
        "alive_until_ns": 1,
        "rows": 1,
        "witnessed": 0,
        "disagreed": 0,
        "verification": "sequence",
    }
    sessions = {11: "one", 12: "one", 22: "two", 23: "two", 33: "three"}
    put(
        before,
        "collector_coverage",
        *({**segment, "segment_id": number, "session_id": one} for number, one in sessions.items()),
    )
    put(
        before,
        "collector_archive",
        file_of("features", "reaches over midnight", {11: [5]}),
        file_of("features", "of the same session", {23: [5]}, last_id=6),
        file_of("features", "of neither", {33: [5]}, last_id=7),
        file_of("features", "of both", {12: [5], 23: [5]}, last_id=8),
        file_of("trades", "trades", {}),
    )
    upgrade(before, NAME)
    assert named(before) == {
        "reaches over midnight": NAME,
        "of the same session": OTHER,
        "of neither": None,
        "of both": None,
        "trades": "collector_trades",
    }


def test_of_two_files_with_the_same_rows_the_larger_one_counts(before: sa.Engine) -> None:
    """Two collectors have archived one day of one server: its rows counted twice."""
    put(
        before,
        "collector_archive",
        file_of("features", "second", {}, rows=4, archived_ns=1),
        file_of("features", "first", {}, archived_ns=2),
        file_of("features", "next day", {}, date="2026-03-02"),
    )
    upgrade(before, NAME)
    assert named(before) == {"first": NAME, "second": None, "next day": NAME}


def test_the_way_down_and_up_again_keeps_what_was_told(before: sa.Engine) -> None:
    put(before, "collector_archive", file_of("features", "f", {}))
    upgrade(before, NAME)
    downgrade(before, NAME, "0005")
    put(before, "collector_archive", file_of("features", "of an older version", {}, last_id=6))
    upgrade(before, NAME)
    assert named(before) == {"f": NAME, "of an older version": NAME}
    with pytest.raises(sa.exc.IntegrityError):
        put(before, "collector_archive", file_of("features", "again", {}, table_name=NAME))


def test_the_preview_names_the_tables_as_well(before: sa.Engine) -> None:
    put(before, "collector_archive", file_of("features", "/symbol=BTC%2FUSDT/it's", {}))
    preview = sql_preview(before, NAME)
    assert f"SET table_name = '{NAME}' WHERE path = '/symbol=BTC%2FUSDT/it''s';" in preview
    with before.connect() as connection:
        columns = sa.inspect(connection).get_columns("collector_archive")
    assert "table_name" not in {column["name"] for column in columns}
    upgrade(before, NAME)
    assert named(before) == {"/symbol=BTC%2FUSDT/it's": NAME}


def test_a_database_that_is_not_migrated_is_read_as_before(sqlite_engine: sa.Engine) -> None:
    upgrade(sqlite_engine, NAME, "0005")
    put(sqlite_engine, "collector_archive", file_of("features", "f", {}))
    tables = make_tables(NAME)
    with reading(Path(str(sqlite_engine.url.database))) as (connection, known):
        assert [row["path"] for row in archived(connection, known, tables.hot)] == ["f"]
