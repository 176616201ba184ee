"""Say in SQL what becomes of a row that is there already; both databases understand the same words."""

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


def latest_wins(table: sa.Table, names: Sequence[str], quote: Quote) -> str:
    """Return the end of an INSERT after which the latest state stands: a bar, final once it was confirmed."""
    there = quote.format_table(table)
    changes = ", ".join(_change(table, name, quote) for name in names if name not in key_of(table))
    return (
        f" ON CONFLICT ({_key(table, quote)}) DO UPDATE SET {changes}"
        f" WHERE excluded.confirmed > {there}.confirmed OR excluded.confirmed = {there}.confirmed"
        f" AND COALESCE(excluded.received_at_ns, 0) >= COALESCE({there}.received_at_ns, 0)"
    )


def _key(table: sa.Table, quote: Quote) -> str:
    return ", ".join(quote.quote(name) for name in key_of(table))


def _change(table: sa.Table, name: str, quote: Quote) -> str:
    column = quote.quote(name)
    if not table.columns[name].nullable:
        return f"{column} = excluded.{column}"
    # A volume-weighted price that the last update did not repeat is kept.
    return f"{column} = COALESCE(excluded.{column}, {quote.format_table(table)}.{column})"
