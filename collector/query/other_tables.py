"""Find other tables of books, and the segments whose rows are there: a database may have several."""

import json

import sqlalchemy as sa

from collector.database import Tables, make_tables
from collector.query.rows import archived

_OURS = "collector_"  # so begin the names of all tables but those of books


def segments_elsewhere(connection: sa.Connection, tables: Tables) -> frozenset[int]:
    """Return the segments of which another table of books, or a file with rows of it, has rows."""
    found: set[int] = set()
    for name in other_book_tables(connection, tables.hot):
        others = make_tables(name)
        query = sa.select(others.hot.c.segment_id).distinct().where(others.hot.c.segment_id.is_not(None))
        found.update(connection.execute(query).scalars())
        for file in archived(connection, others, others.hot):
            found.update(map(int, json.loads(file["segments"])))
    return frozenset(found)


def other_book_tables(connection: sa.Connection, hot: sa.Table) -> list[str]:
    """Return the tables of books beside this one: those that have all its columns."""
    inspector = sa.inspect(connection)
    return [
        name
        for name in inspector.get_table_names()
        if not name.startswith(_OURS)
        and name != hot.name
        and {column["name"] for column in inspector.get_columns(name)}.issuperset(hot.columns.keys())
    ]
