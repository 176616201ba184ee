"""Choose what of a day can be replayed together: one source, one book, one kind of trades."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from collector.database import STORED_LEVELS, Tables
from collector.export.stored_days import left_of, parts_of
from collector.export.utc_days import Day, table_of
from collector.query import StoredStream, Value

Counts = Mapping[tuple[Any, ...], int]
_WHAT = {
    "features": ("data_source", "depth"),
    "levels": ("data_source", "depth"),
    "trades": ("data_source", "kind"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows that are replayed, and how many are left out."""

    source: Value
    depth: Value
    kind: Value
    left_out: tuple[str, ...]
    only: tuple[int, ...] | None = None  # of these segments
    without: tuple[int, ...] = ()  # of none of these

    def stream(self, connection: sa.Connection, tables: Tables, day: Day) -> StoredStream:
        """Return the chosen rows of a day."""
        table = table_of(tables, day.kind)
        given = {"data_source": self.source}
        given |= {"kind": self.kind} if day.kind == "trades" else {"depth": self.depth}
        where = (
            table.c.symbol == day.symbol,
            table.c.exchange == day.exchange,
            table.c.id <= day.last_id,
            *(table.c[name] == value for name, value in given.items()),
        )
        parts = parts_of(connection, tables, day)
        stream = StoredStream(table, day.symbol, day.exchange, where, given=given, parts=parts)
        return (stream if self.only is None else stream.of_segments(self.only)).without(self.without)


def chosen(connection: sa.Connection, tables: Tables, sources: Sequence[Day]) -> Choice:
    """Choose the source with the most rows, its deepest book up to ten levels, and single trades.

    Of equally deep books, choose the one with more rows.
    """
    counts = {day.kind: _counts(connection, tables, day) for day in sources}
    of_source: Counter[Value] = Counter()
    for found in counts.values():
        for (source, _), rows in found.items():
            of_source[source] += rows
    source = max(of_source, key=lambda one: (of_source[one], str(one)))
    depths = {depth: rows for (own, depth), rows in counts.get("features", {}).items() if own == source}
    kinds = sorted(kind for own, kind in counts.get("trades", {}) if own == source)
    depth = max(depths, key=lambda one: (min(one or 0, STORED_LEVELS), depths[one], one or 0), default=None)
    kind = kinds[-1] if kinds else None  # "trade" comes behind "agg"
    taken = {"features": (source, depth), "trades": (source, kind)}
    left_out = [
        f"{rows:,} {name} of {_WHAT[name][1]} {own[1]}, source {own[0]}"
        for name, found in sorted(counts.items())
        for own, rows in sorted(found.items(), key=str)
        if own != taken.get(name, own)
    ]
    return Choice(source, depth, kind, tuple(left_out))


def _counts(connection: sa.Connection, tables: Tables, day: Day) -> Counts:
    table, names = table_of(tables, day.kind), _WHAT[day.kind]
    parts = parts_of(connection, tables, day)
    columns = [table.c[name] for name in names]
    query = (
        sa.select(*columns, sa.func.count())
        .where(*left_of(table, day, parts), table.c.id <= day.last_id)
        .group_by(*columns)
    )
    found: Counter[tuple[Any, ...]] = Counter()
    for *values, rows in connection.execute(query):
        found[tuple(values)] += rows
    for part in parts:
        found.update(part.counts(names))
    return found
