"""Write the SQL for a row that is there already; both databases understand the same words."""

from collections.abc import Sequence

import sqlalchemy as sa

Quote = sa.sql.compiler.IdentifierPreparer


def key_of(table: sa.Table) -> tuple[str, ...]:
    """Return the columns of the table's unique index."""
    (index,) = (index for index in table.indexes if index.unique)
    return tuple(column.name for column in index.columns)


def first_stays(table: sa.Table, quote: Quote) -> str:
    """Return the end of an INSERT that leaves out what is there: a trade."""
    return f" ON CONFLICT ({_key(table, quote)}) DO NOTHING"


def replaced(table: sa.Table, names: Sequence[str], quote: Quote) -> str:
    """Return the end of an INSERT that puts all these columns in the place of what is there: a bar."""
    changes = ", ".join(
        f"{quote.quote(name)} = excluded.{quote.quote(name)}" for name in names if name not in key_of(table)
    )
    return f" ON CONFLICT ({_key(table, quote)}) DO UPDATE SET {changes}"


def _key(table: sa.Table, quote: Quote) -> str:
    return ", ".join(quote.quote(name) for name in key_of(table))
