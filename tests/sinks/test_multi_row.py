import sqlite3
from pathlib import Path

import sqlalchemy as sa

from collector.database.engine import make_engine
from collector.database.url import database_url
from collector.sinks.sql import multi_row


def test_no_statement_has_more_variables_than_sqlite_takes(tmp_path: Path) -> None:
    wide = sa.Table("wide", sa.MetaData(), *(sa.Column(f"c{number}", sa.INTEGER) for number in range(100)))
    engine = make_engine(database_url(str(tmp_path / "live.db")))
    with engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)
        wide.create(connection)
        multi_row.insert(connection, wide, {f"c{number}": list(range(700)) for number in range(100)})
        assert connection.execute(sa.select(sa.func.count(), sa.func.sum(wide.c.c99))).one() == (700, 244_650)
    engine.dispose()


def test_the_time_of_making_is_added_only_where_it_is_not_given(tmp_path: Path) -> None:
    made = sa.Table("made", sa.MetaData(), sa.Column("n", sa.INTEGER), sa.Column("created_at", sa.TEXT))
    engine = make_engine(database_url(str(tmp_path / "live.db")))
    with engine.begin() as connection:
        made.create(connection)
        multi_row.insert(connection, made, {"n": [1], "created_at": ["long ago"]})
        multi_row.insert(connection, made, {"n": [2]})
        given, added = connection.execute(sa.select(made.c.created_at).order_by(made.c.n)).scalars()
    engine.dispose()
    assert given == "long ago"
    assert added.startswith("20")
