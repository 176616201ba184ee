"""Change a schema without ever losing what it holds: the steps that migrations are made of.

Up: what is there already is kept and completed. Down: what is empty goes, what holds data stays. So any
way up and down, to the very bottom and back, keeps every row and every value; an older program ignores
the columns and tables that stayed.

Each step looks at the live connection and speaks through Alembic's `op`, so that the same steps also
print, without changing anything, exactly what they would do.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from collector.database.revisions import serves


def create_or_complete(live: sa.Connection, table: sa.Table) -> None:
    """Create the table, or add the columns and indexes that an existing one lacks."""
    if not sa.inspect(live).has_table(table.name):
        op.execute(CreateTable(table))
        for index in _by_name(table.indexes):
            op.execute(CreateIndex(index))
        return
    add_columns(live, table.name, list(table.columns))
    present = sa.inspect(live).get_indexes(table.name)
    for index in _by_name(table.indexes):
        if not any(serves(there, index) for there in present):
            op.execute(CreateIndex(index))


def add_columns(live: sa.Connection, table_name: str, columns: Sequence[sa.Column[object]]) -> None:
    """Add those of the columns that the table lacks."""
    present = _columns(live, table_name)
    for column in columns:
        if column.name not in present:
            _add_column(live, table_name, column)


def drop_table_if_empty(live: sa.Connection, table_name: str) -> None:
    """Drop the table unless it holds rows."""
    if not _columns(live, table_name):
        return
    if not _is_found(live, sa.select(sa.literal(1)).select_from(sa.table(table_name))):
        op.drop_table(table_name)


def drop_columns_if_empty(live: sa.Connection, table_name: str, names: Sequence[str]) -> None:
    """Drop those of the columns that hold nothing but NULL."""
    present = _columns(live, table_name)
    for name in names:
        value: sa.ColumnClause[object] = sa.column(name)
        filled = sa.select(sa.literal(1)).select_from(sa.table(table_name, value)).where(value.is_not(None))
        if name in present and not _is_found(live, filled):
            op.drop_column(table_name, name)


def _add_column(live: sa.Connection, table_name: str, column: sa.Column[object]) -> None:
    clause = column.server_default
    default = clause.arg if isinstance(clause, sa.DefaultClause) else None
    if not isinstance(default, sa.FunctionElement):
        op.add_column(table_name, sa.Column(column.name, column.type, server_default=clause))
        return
    # A default such as CURRENT_TIMESTAMP is for rows to come: the old ones were not written now. SQLite
    # cannot add such a column at all, so there the sink gives the value itself.
    op.add_column(table_name, sa.Column(column.name, column.type))
    if live.dialect.name != "sqlite":
        op.alter_column(table_name, column.name, server_default=default)


def _columns(live: sa.Connection, table_name: str) -> set[str]:
    inspector = sa.inspect(live)
    if not inspector.has_table(table_name):
        return set()
    return {column["name"] for column in inspector.get_columns(table_name)}


def _is_found(live: sa.Connection, query: sa.Select[int]) -> bool:
    return live.execute(query.limit(1)).first() is not None


def _by_name(indexes: set[sa.Index]) -> list[sa.Index]:
    return sorted(indexes, key=lambda index: str(index.name))
