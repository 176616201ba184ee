"""Write the SQL for a row that is there already; both databases understand the same words."""

from collections.abc import Mapping, Sequence
from typing import Literal

import sqlalchemy as sa

Quote = sa.sql.compiler.IdentifierPreparer
IfThere = Literal["fail", "skip", "replace"]  # what to do about a row whose primary key is there already
Rule = Literal["newest", "largest", "add", "keep", "never"]  # how a value replaces the one that is there
Rules = tuple[tuple[str, Rule], ...]  # by column; "newest" unless said

NO_RULES: Rules = ()


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


def by_rules(table: sa.Table, names: Sequence[str], quote: Quote, if_there: IfThere, rules: Rules) -> str:
    """Return the end of an INSERT of these columns for rows whose primary key may be there already."""
    if if_there == "fail":
        return ""
    keys = ", ".join(quote.format_column(column) for column in table.primary_key.columns)
    if if_there == "skip":
        return f" ON CONFLICT ({keys}) DO NOTHING"
    new = {name: f"excluded.{quote.quote(name)}" for name in names}
    return f" ON CONFLICT ({keys}) DO UPDATE SET {changes(table, new, quote, rules)}"


def changes(table: sa.Table, new: Mapping[str, str], quote: Quote, rules: Rules) -> str:
    """Return what an UPDATE sets: by column, how it says the new value."""
    by_name = dict(rules)
    return ", ".join(
        _replacement(table, table.columns[name], quote, by_name.get(name, "newest"), value)
        for name, value in new.items()
        if not table.columns[name].primary_key and by_name.get(name) != "never"
    )


def _replacement(table: sa.Table, column: sa.Column[object], quote: Quote, rule: Rule, new: str) -> str:
    name = quote.format_column(column)
    here = f"{quote.format_table(table)}.{name}"
    if rule == "add":
        return f"{name} = {here} + {new}"
    if rule == "largest":
        return f"{name} = CASE WHEN {here} IS NULL OR {new} > {here} THEN {new} ELSE {here} END"
    if rule == "keep":
        return f"{name} = COALESCE({here}, {new})"
    if not column.nullable:
        return f"{name} = {new}"
    # What is known stays known: a batch that comes late out of the spool must not reopen a segment that
    # was closed meanwhile.
    return f"{name} = COALESCE({new}, {here})"


def _key(table: sa.Table, quote: Quote) -> str:
    return ", ".join(quote.quote(name) for name in key_of(table))
