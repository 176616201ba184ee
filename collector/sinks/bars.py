"""Fold the updates of one bar that came in one batch, by the rule that the database goes by."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from collector.sinks.conflicts import key_of
from collector.sinks.contract import Value


def fold(table: sa.Table, columns: Mapping[str, Sequence[Value]]) -> dict[str, list[Value]]:
    """Return one row a bar: its latest state, final once any was.

    One statement cannot change a row twice in PostgreSQL, and need not anywhere.
    """
    place = {name: number for number, name in enumerate(columns)}
    keyed = [place[name] for name in key_of(table)]
    kept = {number for name, number in place.items() if table.columns[name].nullable}
    folded: dict[tuple[Value, ...], Sequence[Value]] = {}
    for row in zip(*columns.values(), strict=True):
        bar = tuple(row[number] for number in keyed)
        there = folded.get(bar)
        if there is None:
            folded[bar] = row
        elif _age(row, place) >= _age(there, place):
            folded[bar] = [
                there[number] if value is None and number in kept else value
                for number, value in enumerate(row)
            ]
    return {name: [row[number] for row in folded.values()] for name, number in place.items()}


def _age(row: Sequence[Value], place: Mapping[str, int]) -> tuple[int, int]:
    """Order the states of a bar: what is confirmed is later than all that is not."""
    received = row[place["received_at_ns"]] if "received_at_ns" in place else None
    return int(row[place["confirmed"]] or 0), int(received or 0)
