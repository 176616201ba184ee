"""Insert or change many rows in PostgreSQL by one statement that takes an array a column.

Its text is the same for any number of rows, so the server prepares it once and the driver need not read it
again. Arrays go as text: the driver's own way takes the elements one by one.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from collector.sinks.contract import Value
from collector.sinks.sql.conflicts import Rules, changes

if TYPE_CHECKING:
    from collector.database import Driver

Column = Sequence[Value]

_NUMBERS = frozenset({int, float, type(None)})


def insert(
    driver: "Driver",
    dialect: sa.Dialect,
    table: sa.Table,
    names: tuple[str, ...],
    columns: Sequence[Column],
    ending: str,
) -> int:
    """Insert rows with the statement so ended; return how many went in, or are said to be new."""
    text = _insert_text(table, names, dialect, ending)
    cursor = driver.execute(text, list(map(as_array, columns)))
    return cursor.rowcount if cursor.description is None else sum(bool(row[0]) for row in cursor)


def change(
    driver: "Driver",
    dialect: sa.Dialect,
    table: sa.Table,
    names: tuple[str, ...],
    columns: Sequence[Column],
    rules: Rules,
) -> int:
    """Change rows that are there by the rules; return how many are."""
    text = _change_text(table, names, dialect, rules)
    return driver.execute(text, list(map(as_array, columns))).rowcount


def as_array(values: Column) -> object:
    """Return a column as the text of an array, or as it is where the driver must look at each value."""
    kinds = set(map(type, values))
    if kinds <= _NUMBERS:
        return "{" + ",".join(map(str, values)).replace("None", "NULL") + "}"
    if kinds == {str}:
        words = cast("Sequence[str]", values)
        text = '","'.join(words)
        if "\\" not in text and text.count('"') == 2 * (len(words) - 1):
            return f'{{"{text}"}}'
    return list(values)


@lru_cache(maxsize=64)
def _insert_text(table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect, ending: str) -> bytes:
    quote = dialect.identifier_preparer
    columns = ", ".join(quote.format_column(table.columns[name]) for name in names)
    arrays = _places(table, names, dialect)
    head = f"INSERT INTO {quote.format_table(table)} ({columns})"
    return f"{head} SELECT * FROM unnest({arrays}){ending}".encode()


@lru_cache(maxsize=16)
def _change_text(table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect, rules: Rules) -> bytes:
    quote = dialect.identifier_preparer
    new = {name: f"new.{quote.quote(name)}" for name in names}
    keys = " AND ".join(
        f"{quote.format_table(table)}.{quote.format_column(key)} = {new[key.name]}"
        for key in table.primary_key.columns
    )
    listed = ", ".join(map(quote.quote, names))
    return (
        f"UPDATE {quote.format_table(table)} SET {changes(table, new, quote, rules)} "
        f"FROM unnest({_places(table, names, dialect)}) AS new ({listed}) WHERE {keys}"
    ).encode()


def _places(table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect) -> str:
    return ", ".join(f"%s::{table.columns[name].type.compile(dialect)}[]" for name in names)
