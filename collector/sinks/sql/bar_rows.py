"""Bring states of bars into their tables: read what stands, settle it by the rule, write what changed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import isfinite
from typing import NamedTuple

import sqlalchemy as sa

from collector.database import BAR
from collector.sinks.contract import Value
from collector.sinks.sql import multi_row
from collector.sinks.sql.bars import KEPT, VALUES, Bar, State, settle
from collector.sinks.sql.conflicts import replaced

_READ = ("open_time", "confirmed", "received_at_ns", *VALUES, *KEPT)
_BARS_A_QUESTION = 500
ORIGIN = "origin"


class Inserted(NamedTuple):
    """What became of rows."""

    new: int  # rows of their own now
    merged: int  # found to be there already, or taken into a row that is


def write_bars(
    connection: sa.Connection,
    table: sa.Table,
    corrections: sa.Table,
    columns: Mapping[str, Sequence[Value]],
) -> Inserted:
    """Write states of bars, in the order in which they came, inside the transaction that is open."""
    _check(table, columns)
    if ORIGIN not in columns:  # said in any case: a live state may take the place of what REST brought
        columns = {**columns, ORIGIN: [None] * len(columns["open_time"])}
    names = tuple(columns)
    states = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    stored = {bar: found[0] for bar, found in _read(connection, table, _bars(columns)).items()}
    over = [bar for bar, state in stored.items() if state["confirmed"]]
    settled = settle(states, stored, _read(connection, corrections, over))
    new = _insert(connection, table, names, settled.new.values())
    new += _insert(connection, corrections, names, settled.corrections)
    if settled.replaced:
        ending = replaced(table, names, connection.dialect.identifier_preparer)
        _insert(connection, table, names, settled.replaced.values(), ending)
    return Inserted(new, settled.merged)


def _check(table: sa.Table, columns: Mapping[str, Sequence[Value]]) -> None:
    """Refuse what a database would, before it is settled: it may see other states of the bar only."""
    for name, values in columns.items():
        column = table.columns[name]
        if not column.nullable and None in values:
            raise ValueError(f"{table.name}.{name}: NULL")
        if isinstance(column.type, sa.Float):
            _check_numbers(f"{table.name}.{name}", values)


def _check_numbers(where: str, values: Sequence[Value]) -> None:
    for value in values:
        if isinstance(value, str):
            raise TypeError(f"{where}: something that is no number")
        if value is not None and not isfinite(value):
            raise ValueError(f"{where}: a number that is not finite")


def _bars(columns: Mapping[str, Sequence[Value]]) -> Iterable[Bar]:
    return dict.fromkeys(zip(*(columns[name] for name in BAR), strict=True))


def _read(connection: sa.Connection, table: sa.Table, bars: Iterable[Bar]) -> dict[Bar, list[State]]:
    """Return the rows of each bar by their ids."""
    opened: defaultdict[Bar, list[Value]] = defaultdict(list)
    for *of_stream, open_time in bars:
        opened[tuple(of_stream)].append(open_time)
    found: defaultdict[Bar, list[State]] = defaultdict(list)
    for stream, times in opened.items():
        own = dict(zip(BAR, stream, strict=False))
        for first in range(0, len(times), _BARS_A_QUESTION):
            wanted = {**own, "open_time": times[first : first + _BARS_A_QUESTION]}
            for row in connection.execute(_question(table), wanted).mappings():
                found[*stream, row["open_time"]].append(dict(row))
    return found


@cache
def _question(table: sa.Table) -> "sa.Select[tuple[object, ...]]":
    *stream, open_time = (table.c[name] for name in BAR)
    same = [column == sa.bindparam(column.name) for column in stream]
    same.append(open_time.in_(sa.bindparam(open_time.name, expanding=True)))
    return sa.select(*(table.c[name] for name in _READ)).where(*same).order_by(table.c.id)


def _insert(
    connection: sa.Connection,
    table: sa.Table,
    names: tuple[str, ...],
    states: Iterable[State],
    ending: str = "",
) -> int:
    listed = list(states)
    if not listed:
        return 0
    return multi_row.insert(
        connection, table, {name: [state[name] for state in listed] for name in names}, ending
    )
