"""Put a day's events in a file, and say of which stored days it is made."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from collector.database.tables import Tables
from collector.export.day_file import whole_file
from collector.export.days import Day
from collector.export.hftbacktest.day import day_events
from collector.export.hftbacktest.layout import write_npz

FORM = "hftbacktest"
ENDING = "npz"
KINDS = ("features", "levels", "trades")


def joined_days(found: Sequence[Day]) -> dict[Day, tuple[Day, ...]]:
    """Return the days of replay, each with the stored days that it is made of; it changes when they do."""
    joined = {}
    for (symbol, exchange, date), days in groupby(sorted(found, key=_key), _key):
        own = tuple(days)
        mark = " ".join(f"{day.kind}:{day.rows}:{day.last_id}" for day in own)
        rows = sum(day.rows for day in own)
        joined[Day(FORM, exchange, symbol, date, rows, max(day.last_id for day in own), mark)] = own
    return joined


def write_events(
    connection: sa.Connection, tables: Tables, sources: Sequence[Day], path: Path
) -> dict[str, Any]:
    """Write the file, whole, and return what must be known about it."""
    data, facts = day_events(connection, tables, sources)
    with whole_file(path) as unfinished:
        write_npz(unfinished, data)
    return facts.told()


def _key(day: Day) -> tuple[str, str, str]:
    return (day.symbol, day.exchange, day.date)
