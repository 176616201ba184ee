"""Move the rows of old days to files: write, read back and compare, record, and only then delete."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.database.tables import Tables, tables
from collector.errors import CollectorError
from collector.events.columns import NO_INT
from collector.export.day_file import sha256, write_day
from collector.export.day_rows import day_tables
from collector.export.days import Day, days, table_of
from collector.query.database import extra, needed, reading
from collector.retention.deletion import claim, delete_slice, finish

Slice = Callable[[sa.Connection], int]
KINDS = ("features", "levels", "trades")  # bars are few, and are changed after they were written
_MOST_DIGITS = 18  # more would not fit


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days stay in the database, and the folder for the rest."""

    days: float
    folder: Path
    slice_rows: int = 2_000


def archive_slices(
    url: str, table_name: str, retention: Retention, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Slice]:
    """Yield the transactions of the writer thread, day after day; write the files in between.

    It may be stopped anywhere: the next call deletes what is recorded, and moves anew what is not.
    """
    known = tables(table_name)
    extra("pyarrow", "parquet")
    with reading(url, table_name) as (connection, _):
        unfinished = connection.execute(
            sa.select(needed(connection, known.archive)).where(known.archive.c.deleted_ns.is_(None))
        ).mappings()
        left = [dict(row) for row in unfinished]
    for entry in left:
        if sha256(Path(entry["path"])) != entry["sha256"]:
            raise CollectorError(f"{entry['path']} is not the file that was written; nothing is deleted")
        yield from _deletion(known, entry, retention.slice_rows)
    last_date = (now() - timedelta(days=retention.days)).date().isoformat()
    with reading(url, table_name) as (connection, _):
        old = [
            day
            for kind in KINDS
            for day in days(connection, table_of(known, kind), kind, None, None)
            if day.date < last_date
        ]
    for day in old:
        entry = _moved(url, table_name, day, retention.folder)
        yield partial(claim, tables=known, entry=entry)
        yield from _deletion(known, entry, retention.slice_rows)


def _deletion(known: Tables, entry: dict[str, Any], rows: int) -> Iterator[Slice]:
    day = Day(
        entry["kind"], entry["exchange"], entry["symbol"], entry["date"], entry["rows"], entry["last_id"], ""
    )
    deleted = [rows]

    def one(connection: sa.Connection) -> int:
        deleted.append(delete_slice(connection, known, day, rows))
        return deleted[-1]

    while deleted[-1] >= rows:
        yield one
    yield partial(finish, tables=known, path=entry["path"])


def _moved(url: str, table_name: str, day: Day, folder: Path) -> dict[str, Any]:
    """Write the file, read it back, and return the row that records it."""
    path = (folder / day.path("parquet")).absolute()
    path = path.with_name(f"part-{day.last_id}.parquet")
    with reading(url, table_name) as (connection, known):
        table = table_of(known, day.kind)
        write_day(connection, table, day, path, "parquet", ())
        rows, segments = _verified(connection, table, day, path)
    if rows != day.rows:
        raise CollectorError(f"{path} holds {rows} rows of {day.rows}; nothing is deleted")
    return {
        "path": str(path),
        "kind": day.kind,
        "exchange": day.exchange,
        "symbol": day.symbol,
        "date": day.date,
        "rows": rows,
        "last_id": day.last_id,
        "sha256": sha256(path),
        "segments": json.dumps(segments),
        "archived_ns": time.time_ns(),
        "deleted_ns": None,
    }


def _verified(
    connection: sa.Connection, table: sa.Table, day: Day, path: Path
) -> tuple[int, dict[int, list[int | None]]]:
    """Compare every value of the file with the database; return the rows, and sums for each segment."""
    segments: dict[int, list[int | None]] = {}
    rows = 0
    stored = closing(day_tables(connection, table, day, (), are_alike=False))
    with extra("pyarrow.parquet", "parquet").ParquetFile(path) as file, stored as wanted:
        for group, expected in enumerate(wanted):
            found = file.read_row_group(group)
            plain = [(one.name, getattr(one.type, "value_type", one.type)) for one in expected.schema]
            schema = extra("pyarrow", "parquet").schema(plain)
            if not found.cast(schema).equals(expected.cast(schema)):
                raise CollectorError(f"{path} is not what the table holds; nothing is deleted")
            rows += len(found)
            _add_rows(segments, found, "trade_id" if day.kind == "trades" else "sequence")
    return rows, segments


def _add_rows(segments: dict[int, list[int | None]], rows: Any, number: str) -> None:
    """Add to each segment: rows, first and last receipt, first and last number, numbered rows."""
    numbers = np.array([_number(value) for value in rows[number].to_pylist()], dtype=np.int64)
    received = rows["received_at_ns"].to_numpy()
    ids = np.array([-1 if one is None else one for one in rows["segment_id"].to_pylist()], dtype=np.int64)
    for segment in np.unique(ids[ids >= 0]).tolist():
        here = ids == segment
        known = numbers[here]
        known = known[known != NO_INT]
        before = segments.get(segment, [0, None, None, None, None, 0])
        segments[segment] = [
            (before[0] or 0) + int(here.sum()),
            _least(before[1], int(received[here].min())),
            _most(before[2], int(received[here].max())),
            _least(before[3], int(known.min())) if len(known) else before[3],
            _most(before[4], int(known.max())) if len(known) else before[4],
            (before[5] or 0) + len(known),
        ]


def _number(value: str | int | None) -> int:
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) <= _MOST_DIGITS else NO_INT
    return NO_INT if value is None else value


def _least(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


def _most(one: int | None, other: int) -> int:
    return other if one is None else max(one, other)
