"""Find the days of a kind of data whose rows are in the table, in archive files, or in both."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import sqlalchemy as sa

from collector.database import Tables
from collector.export.utc_days import Day, days, table_of, within
from collector.query import Archive, Part, beside, has_table


def stored_days(
    connection: sa.Connection, tables: Tables, kind: str, symbol: str | None, exchange: str | None
) -> list[Day]:
    """Return the days that have rows; a day is the same before and after its rows were moved."""
    table = table_of(tables, kind)
    if not has_table(connection, table):
        return []
    found = {_key(day): day for day in days(connection, table, kind, symbol, exchange)}
    wanted = [
        part
        for part in Archive.read(connection, tables, table).parts
        if symbol in {None, part.symbol} and exchange in {None, part.exchange}
    ]
    for key, own in groupby(sorted(wanted, key=_key), _key):
        parts = list(own)
        moved = Day(kind, parts[0].exchange, parts[0].symbol, parts[0].day, 0, 0, "")
        found[key] = _whole(connection, table, moved, parts)
    return [found[key] for key in sorted(found)]


def parts_of(connection: sa.Connection, tables: Tables, day: Day) -> tuple[Part, ...]:
    """Return the files that hold rows of a day."""
    parts = Archive.read(connection, tables, table_of(tables, day.kind)).of(day.symbol, day.exchange)
    return tuple(part for part in parts if part.day == day.date)


def left_of(table: sa.Table, day: Day, parts: Sequence[Part]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that a row is of the day, and in no file."""
    own = (table.c.symbol == day.symbol, table.c.exchange == day.exchange)
    return [*own, *within(table, day.kind, day.date), *beside(table, parts)]


def _whole(connection: sa.Connection, table: sa.Table, day: Day, parts: list[Part]) -> Day:
    marks = sa.select(sa.func.count(), sa.func.max(table.c.id)).where(*left_of(table, day, parts))
    rows, last_id = connection.execute(marks).one()
    return replace(
        day,
        rows=rows + sum(part.rows for part in parts),
        last_id=max([last_id or 0, *(part.last_id for part in parts)]),
    )


def _key(one: Day | Part) -> tuple[str, str, str]:
    return (one.symbol, one.exchange, one.date if isinstance(one, Day) else one.day)
