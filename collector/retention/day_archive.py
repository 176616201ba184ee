"""Write one day, or one hour, of a stream to a file of the archive, and read it back to be sure."""

import hashlib
import json
import socket
import time
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.database import database_url, make_durable, shown
from collector.errors import CollectorError
from collector.events import NO_INT
from collector.export import Day, day_tables, sha256, table_of, write_day
from collector.query import NO_INT as MISSING
from collector.query import Part, extra, places, set_aside
from collector.retention.deletion import Entry
from collector.retention.stopping import Stop

_MOST_DIGITS = 18  # more would not fit


def archive_day(url: str, table_name: str, day: Day, folder: Path, stop: Stop) -> Entry:
    """Write the file, read it back, and return the row that records it; leave no file on failure."""
    before, path = paths_of(url, table_name, day, folder)
    unfinished = unfinished_of(path)
    try:
        with stop.reading(url, table_name) as (connection, known):
            table = table_of(known, day.kind)
            write_day(connection, table, day, unfinished, "parquet", (), check=stop.check)
            segments = verified(connection, table, day, unfinished, stop)
        checksum = sha256(unfinished, stop.check)
        # A run that ended before it could record its file left the same one behind.
        same = next((one for one in before if sha256(one, stop.check) == checksum), None)
        if same is None:
            put_in_place(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return entry_of(day, same or path, table.name, checksum, segments)


def unfinished_of(path: Path) -> Path:
    """Return where a file is written and read back, out of the way of who reads folders."""
    return set_aside(path).with_name(f"{path.name}.new")


def put_in_place(unfinished: Path, path: Path) -> None:
    """Give a file that was read back its own name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished.replace(path)
    make_durable(path.parent)


def entry_of(
    day: Day, path: Path, table_name: str, checksum: str, segments: dict[int, list[int | None]]
) -> Entry:
    """Return the row that records a file whose rows are still in the table."""
    return {
        "path": str(path),
        "kind": day.kind,
        "exchange": day.exchange,
        "symbol": day.symbol,
        "date": day.date,
        "rows": day.rows,
        "last_id": day.last_id,
        "sha256": checksum,
        "segments": json.dumps(segments),
        "archived_ns": time.time_ns(),
        "deleted_ns": None,
        "table_name": table_name,
    }


def paths_of(url: str, table_name: str, day: Day, folder: Path) -> tuple[list[Path], Path]:
    """Return the files that may hold the same, and a name that nobody else has: no file is ever overwritten.

    Other databases, tables and hosts may archive to the same folder, and number their rows from 1 as well.
    Another archiver of this database may be at it, too: the lock that keeps it out is lost with a connection.
    """
    whose = "\0".join((socket.gethostname(), shown(database_url(url)), table_name))
    what = f"hour-{day.hour}" if day.hour else "part"
    name = f"{what}-{hashlib.sha256(whose.encode()).hexdigest()[:8]}-{day.last_id}"
    beside = (folder / day.folder).absolute()
    before = sorted(beside.glob(f"{name}[-.]*parquet"))
    return before, beside / f"{name}-{token_hex(4)}.parquet"


def verified(
    connection: sa.Connection, table: sa.Table, day: Day, path: Path, stop: Stop, parts: tuple[Part, ...] = ()
) -> dict[int, list[int | None]]:
    """Compare every value of the file with the database, or other files; return the sums for each segment."""
    segments: dict[int, list[int | None]] = {}
    rows = 0
    stored = closing(day_tables(connection, table, day, (), parts, stop.check, are_alike=False))
    with extra("pyarrow.parquet", "parquet").ParquetFile(path) as file, stored as wanted:
        for group, expected in enumerate(wanted):
            found = file.read_row_group(group)
            plain = [(one.name, getattr(one.type, "value_type", one.type)) for one in expected.schema]
            schema = extra("pyarrow", "parquet").schema(plain)
            if not found.cast(schema).equals(expected.cast(schema)):
                raise CollectorError(f"{path} is not what the table holds; nothing is deleted")
            rows += len(found)
            _add_rows(segments, found, "trade_id" if day.kind == "trades" else "sequence")
    if rows != day.rows:
        raise CollectorError(f"{path} holds {rows} rows of {day.rows}; nothing is deleted")
    return segments


def _add_rows(segments: dict[int, list[int | None]], rows: Any, number: str) -> None:
    """Add to each segment: rows, first and last place in time, first and last number, numbered rows."""
    numbers = np.array([_number(value) for value in rows[number].to_pylist()], dtype=np.int64)
    stands = _places(rows)
    ids = np.array([-1 if one is None else one for one in rows["segment_id"].to_pylist()], dtype=np.int64)
    for segment in np.unique(ids[ids >= 0]).tolist():
        here = ids == segment
        known = numbers[here]
        known = known[known != NO_INT]
        before = segments.get(segment, [0, None, None, None, None, 0])
        segments[segment] = [
            (before[0] or 0) + int(here.sum()),
            _least(before[1], int(stands[here].min())),
            _most(before[2], int(stands[here].max())),
            _least(before[3], int(known.min())) if len(known) else before[3],
            _most(before[4], int(known.max())) if len(known) else before[4],
            (before[5] or 0) + len(known),
        ]


def _places(rows: Any) -> Any:
    """Return where rows stand in time: at their receipt, or at the exchange's time if REST brought them."""
    if "origin" not in rows.column_names:
        return rows["received_at_ns"].to_numpy()
    told = rows["exchange_timestamp"].fill_null(MISSING).to_numpy()
    origins = np.array(rows["origin"].to_pylist(), dtype=np.object_)
    return places(
        {"received_at_ns": rows["received_at_ns"].to_numpy(), "exchange_timestamp": told, "origin": origins}
    )


def _number(value: str | int | None) -> int:
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) <= _MOST_DIGITS else NO_INT
    return NO_INT if value is None else value


def _least(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


def _most(one: int | None, other: int) -> int:
    return other if one is None else max(one, other)
