"""Insert each kind of rows into its table in the fastest way that its database offers."""

from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache

import sqlalchemy as sa

from collector.database import Tables
from collector.sinks.contract import Rows, Value
from collector.sinks.sql import multi_row
from collector.sinks.sql.archived_trades import ArchivedTrades
from collector.sinks.sql.bar_rows import Inserted, write_bars
from collector.sinks.sql.conflicts import first_stays


def check_integers(table: sa.Table, columns: Mapping[str, Sequence[Value]]) -> None:
    """Raise OverflowError beyond 64 bits, TypeError for what is no whole number; NULL may stand anywhere."""
    for name in _whole(table, tuple(columns)):
        _check(f"{table.name}.{name}", columns[name])


@lru_cache(maxsize=64)
def _whole(table: sa.Table, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of whole numbers."""
    return tuple(name for name in names if isinstance(table.columns[name].type, sa.INTEGER))


def _check(where: str, values: Sequence[Value]) -> None:
    try:
        try:
            array("q", values)  # type: ignore[type-var]
        except TypeError:  # NULLs among them, or worse
            array("q", [value for value in values if value is not None])  # type: ignore[type-var]
    except OverflowError:
        raise OverflowError(f"{where}: a number beyond 64 bits") from None
    except TypeError:
        raise TypeError(f"{where}: something that is not a whole number") from None


Columns = Mapping[str, Sequence[Value]]


def write_rows(connection: sa.Connection, tables: Tables, rows: Rows) -> Inserted:
    """Write the rows inside the transaction that is open; return how many are new, and how many merged.

    Raises what the database or its driver raises, and OverflowError, TypeError, LookupError or ValueError
    for rows that cannot be right (collector.sinks.faults tells these apart).
    """
    table = _table(tables, rows.table)
    if not len(rows):
        return Inserted(0, 0)
    check_integers(table, rows.columns)
    match rows.table:
        case "trades":
            archived = ArchivedTrades(connection, tables, rows.columns)
            new = _write_trades(connection, table, archived.others())
            archived.check_again()
            return Inserted(new, len(rows) - new)  # the statement says nothing of those that it leaves out
        case "ohlcv":
            return write_bars(connection, table, tables.ohlcv_corrections, rows.columns)
    if connection.dialect.name == "sqlite":
        return Inserted(multi_row.insert(connection, table, rows.columns), 0)
    from collector.sinks.sql import postgres_copy  # noqa: PLC0415  (its driver is an extra)

    postgres_copy.insert(connection, table, rows.columns)
    return Inserted(len(rows), 0)


def _table(tables: Tables, name: str) -> sa.Table:
    match name:
        case "book":
            return tables.hot
        case "levels":
            return tables.levels
        case "trades":
            return tables.trades
        case "ohlcv":
            return tables.ohlcv
        case "rejected":
            return tables.rejected
        case "events":
            return tables.events
    raise LookupError(f"no table takes rows of the kind {name!r}")


def _write_trades(connection: sa.Connection, table: sa.Table, columns: Columns) -> int:
    if not len(next(iter(columns.values()))):
        return 0
    conflict = first_stays(table, connection.dialect.identifier_preparer)
    if connection.dialect.name == "sqlite":
        return multi_row.insert(connection, table, columns, conflict)
    from collector.sinks.sql import postgres_copy  # noqa: PLC0415  (its driver is an extra)

    return postgres_copy.insert_unless(connection, table, columns, conflict)
