"""Insert many rows with one statement: `INSERT ... VALUES (..),(..)`, its text made once.

For SQLite this is the fast way beside a busy thread: `executemany` gives up the interpreter lock for every
row and must win it back; one statement of many rows binds once and steps once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Literal

import sqlalchemy as sa

from collector.sinks.contract import Value

IfThere = Literal["fail", "skip", "replace"]  # what to do about a row whose primary key is there already
Rule = Literal["newest", "largest", "add", "keep", "never"]  # how a value replaces the one that is there
Rules = tuple[tuple[str, Rule], ...]  # by column; "newest" unless said

NO_RULES: Rules = ()

_MAX_VARIABLES = 32_766  # SQLite's SQLITE_MAX_VARIABLE_NUMBER; PostgreSQL takes twice as many
_MAX_ROWS = 1_000  # more in a statement gains nothing, and prepared statements are kept in memory


def insert(
    connection: sa.Connection, table: sa.Table, columns: Mapping[str, Sequence[Value]], ending: str = ""
) -> int:
    """Insert the rows, given as columns of one length, with the statement so ended; return how many went in.

    An ending that returns a truth for each row has those counted that are true.
    """
    rows = zip(*columns.values(), strict=True)
    return _send(connection, table, tuple(columns), rows, "fail", ending=ending)


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    rows: Iterable[Mapping[str, Value]],
    *,
    if_there: IfThere = "replace",
    rules: Rules = NO_RULES,
) -> int:
    """Insert the rows, all of the same columns; return how many were new or replaced."""
    listed = list(rows)
    if not listed:
        return 0
    values = (tuple(row.values()) for row in listed)
    return _send(connection, table, tuple(listed[0]), values, if_there, rules)


def _send(
    connection: sa.Connection,
    table: sa.Table,
    names: tuple[str, ...],
    rows: Iterator[tuple[Value, ...]],
    if_there: IfThere,
    rules: Rules = NO_RULES,
    ending: str = "",
) -> int:
    size = min(_MAX_ROWS, _MAX_VARIABLES // len(names))
    head, group, tail = _parts(table, names, connection.dialect, if_there, rules)
    changed = 0
    while chunk := list(islice(rows, size)):
        text = f"{head}{','.join([group] * len(chunk))}{tail}{ending}"
        result = connection.exec_driver_sql(text, tuple(chain.from_iterable(chunk)))
        changed += sum(result.scalars()) if result.returns_rows else result.rowcount
    return changed


@lru_cache(maxsize=64)
def _parts(
    table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect, if_there: IfThere, rules: Rules
) -> tuple[str, str, str]:
    """Return what comes before the rows, one row's place, and what comes after the rows."""
    quote = dialect.identifier_preparer
    columns = [quote.format_column(table.columns[name]) for name in names]  # KeyError: not a column of ours
    places = ["?" if dialect.name == "sqlite" else "%s"] * len(names)
    if dialect.name == "sqlite" and "created_at" in table.columns and "created_at" not in names:
        # Said outright: SQLite cannot add this default to a table that somebody else has made.
        columns.append("created_at")
        places.append("CURRENT_TIMESTAMP")
    head = f"INSERT INTO {quote.format_table(table)} ({', '.join(columns)}) VALUES "
    return head, f"({','.join(places)})", _conflict(table, names, quote, if_there, dict(rules))


def _conflict(
    table: sa.Table,
    names: tuple[str, ...],
    quote: sa.sql.compiler.IdentifierPreparer,
    if_there: IfThere,
    rules: Mapping[str, Rule],
) -> str:
    if if_there == "fail":
        return ""
    keys = ", ".join(quote.format_column(column) for column in table.primary_key.columns)
    if if_there == "skip":
        return f" ON CONFLICT ({keys}) DO NOTHING"
    return f" ON CONFLICT ({keys}) DO UPDATE SET " + ", ".join(
        _replacement(table, table.columns[name], quote, rules.get(name, "newest"))
        for name in names
        if not table.columns[name].primary_key and rules.get(name) != "never"
    )


def _replacement(
    table: sa.Table, column: sa.Column[object], quote: sa.sql.compiler.IdentifierPreparer, rule: Rule
) -> str:
    name = quote.format_column(column)
    here, new = f"{quote.format_table(table)}.{name}", f"excluded.{name}"
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
