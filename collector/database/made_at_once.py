"""Make all tables of an empty database at once, as the migrations would make them one after the other.

It takes 0.6 of the CPU, and 9 MB less: Alembic is not needed. A test holds the two together.
"""

from typing import Final

import sqlalchemy as sa

from collector.database.revisions import VERSION_TABLE
from collector.database.table_check import find_tables
from collector.database.tables import Tables

TABLES_ARE_AT: Final = "0012"  # the revision whose tables collector.database.tables defines


def make_at_once(connection: sa.Connection, wanted: Tables, head: str) -> bool:
    """Make the tables where there is none of them, and no migration to another revision; return whether."""
    metadata = wanted.hot.metadata
    version = _version_table()
    found = find_tables(connection, [*metadata.sorted_tables, version])
    if head != TABLES_ARE_AT or found.columns:
        return False
    metadata.create_all(connection, checkfirst=False)
    version.create(connection)
    connection.execute(sa.insert(version), {"version_num": head})
    return True


def _version_table() -> sa.Table:
    """Define the table as Alembic does."""
    return sa.Table(
        VERSION_TABLE,
        sa.MetaData(),
        sa.Column("version_num", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
    )
