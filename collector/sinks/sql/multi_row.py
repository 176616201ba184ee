"""Insert or change many rows by statements whose texts are the same whatever the number of rows.

A text that changed with the number of rows would be prepared anew nearly each time, which costs more than
what it does. SQLite takes groups of rows of a few sizes, `INSERT ... VALUES (..),(..)`: row by row would cost
no more, but gives up the interpreter lock for every row and must win it back from a busy thread. PostgreSQL
takes an array a column.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from collector.sinks.contract import Value
from collector.sinks.sql import postgres_arrays
from collector.sinks.sql.conflicts import NO_RULES, IfThere, Rules, by_rules, changes

if TYPE_CHECKING:
    import sqlite3

    from collector.database import Driver

Row = tuple[Value, ...]

_MAX_VARIABLES = 32_766  # SQLite's SQLITE_MAX_VARIABLE_NUMBER
_GROUPS = (200, 20, 1)  # rows; larger ones gain nothing, and prepared statements are kept in memory


def insert(
    connection: sa.Connection, table: sa.Table, columns: Mapping[str, Sequence[Value]], ending: str = ""
) -> int:
    """Insert the rows, given as columns of one length, with the statement so ended; return how many went in.

    An ending that returns a truth for each row has those counted that are true.
    """
    names, values = tuple(columns), tuple(columns.values())
    if connection.dialect.name == "sqlite":
        flat = list(chain.from_iterable(zip(*values, strict=True)))
        return _send_groups(connection, table, names, flat, ending)
    return postgres_arrays.insert(_server(connection), connection.dialect, table, names, values, ending)


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
    names = tuple(listed[0]) if listed else ()
    return upsert_rows(connection, table, names, [tuple(row.values()) for row in listed], if_there, rules)


def upsert_rows(
    connection: sa.Connection,
    table: sa.Table,
    names: tuple[str, ...],
    rows: Sequence[Row],
    if_there: IfThere = "replace",
    rules: Rules = NO_RULES,
) -> int:
    """Insert the rows, values in the order of these columns; return how many were new or replaced."""
    if not rows:
        return 0
    ending = _ending(table, names, connection.dialect, if_there, rules)
    if connection.dialect.name == "sqlite":
        return _send_groups(connection, table, names, list(chain.from_iterable(rows)), ending)
    columns = tuple(zip(*rows, strict=True))
    return postgres_arrays.insert(_server(connection), connection.dialect, table, names, columns, ending)


def change(
    connection: sa.Connection, table: sa.Table, names: tuple[str, ...], rows: Sequence[Row], rules: Rules
) -> int:
    """Change rows that are there, as `upsert` would; return how many are. The primary key comes last.

    To SQLite it is a third of an upsert's work.
    """
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        text = _change_text(table, names, connection.dialect, rules)
        return _sqlite(connection).executemany(text, rows).rowcount
    columns = tuple(zip(*rows, strict=True))
    return postgres_arrays.change(_server(connection), connection.dialect, table, names, columns, rules)


def _send_groups(
    connection: sa.Connection, table: sa.Table, names: tuple[str, ...], flat: Sequence[Value], ending: str
) -> int:
    """Insert rows whose values stand one after the other."""
    driver, at, changed = _sqlite(connection), 0, 0
    for size in _GROUPS:
        step = size * len(names)
        until = at + (len(flat) - at) // step * step
        if until > at and step <= _MAX_VARIABLES:
            text = _insert_text(table, names, connection.dialect, ending, size)
            groups = [flat[place : place + step] for place in range(at, until, step)]
            changed += driver.executemany(text, groups).rowcount
            at = until
    return changed


@lru_cache(maxsize=64)
def _insert_text(table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect, ending: str, size: int) -> str:
    quote = dialect.identifier_preparer
    columns = [quote.format_column(table.columns[name]) for name in names]  # KeyError: not a column of ours
    places = ["?"] * len(names)
    if "created_at" in table.columns and "created_at" not in names:
        # Said outright: SQLite cannot add this default to a table that somebody else has made.
        columns.append("created_at")
        places.append("CURRENT_TIMESTAMP")
    head = f"INSERT INTO {quote.format_table(table)} ({', '.join(columns)}) VALUES "
    return head + ",".join([f"({','.join(places)})"] * size) + ending


@lru_cache(maxsize=64)
def _ending(
    table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect, if_there: IfThere, rules: Rules
) -> str:
    return by_rules(table, names, dialect.identifier_preparer, if_there, rules)


@lru_cache(maxsize=16)
def _change_text(table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect, rules: Rules) -> str:
    quote = dialect.identifier_preparer
    new = {name: f"?{place}" for place, name in enumerate(names, start=1)}
    keys = " AND ".join(f"{quote.format_column(key)} = {new[key.name]}" for key in table.primary_key.columns)
    return f"UPDATE {quote.format_table(table)} SET {changes(table, new, quote, rules)} WHERE {keys}"


def _sqlite(connection: sa.Connection) -> "sqlite3.Connection":
    return cast("sqlite3.Connection", _driver(connection))


def _server(connection: sa.Connection) -> "Driver":
    return cast("Driver", _driver(connection))


def _driver(connection: sa.Connection) -> object:
    """Return the driver's own connection, which costs less, in the transaction of this one."""
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.driver_connection
