"""Four days of rows, and the writer thread that moves them."""

import sys
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.database.engine import make_engine
from collector.database.url import database_url
from collector.retention.move import Retention, archive_slices

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import Facts, Row, Stored, prepare, write

TABLE = "l2_training_data_practical"
DAY_NS = 86_400_000_000_000
MIDNIGHT_NS = 1_700_006_400_000_000_000 // DAY_NS * DAY_NS
NOW = datetime.fromtimestamp((MIDNIGHT_NS + 4.5 * DAY_NS) / 1e9, UTC)
FIRST = 2**62 + 1


def fill_days(url: str, count: int = 120) -> str:
    """Store four days, segments that reach over midnight, and a hole every day."""
    prepare(url)
    each = count * 5 // 24  # so many rows has a segment, and the last of five some less
    at = np.sort(np.random.default_rng(5).integers(0, 4 * DAY_NS, count)) + MIDNIGHT_NS
    rows = [Row(int(at_ns), FIRST + place // each, float(place), 0.5) for place, at_ns in enumerate(at)]
    ends = {FIRST + number: rows[min(number * each + each - 1, count - 1)].at_ns for number in range(5)}
    write(url, Stored(rows, ends))
    write(
        url,
        Stored([Row(MIDNIGHT_NS + 7, FIRST + 99, 1.0)], {FIRST + 99: MIDNIGHT_NS + 7}),
        Facts(symbol="ETH/USDT"),
    )
    return url


def slices_of(
    url: str, folder: Path, *, days: float = 2.0, table: str = TABLE, rows: int = 10
) -> Generator[Any, None, None]:
    """Return the slices of a run."""
    return archive_slices(url, table, Retention(days, folder, slice_rows=rows), lambda: NOW)


def work(url: str, slices: Iterator[Any], *, at_most: int = 10**6) -> int:
    """Do the slices, as the writer thread does; return how many rows were deleted."""
    engine = make_engine(database_url(url), synchronous="OFF")
    done = 0
    try:
        for number, one in enumerate(slices):
            if number >= at_most:
                break
            with engine.connect() as connection:
                done += one(connection)
    finally:
        engine.dispose()
    return done


def ask(url: str, statement: str) -> Any:
    """Return the first value that a statement gives, or None; commit what it changes."""
    engine = make_engine(database_url(url), synchronous="OFF")
    try:
        with engine.begin() as connection:
            found = connection.execute(sa.text(statement))
            return found.scalar() if found.returns_rows else None
    finally:
        engine.dispose()


def left(url: str, table: str = TABLE) -> int:
    """Count the rows of a table."""
    return int(ask(url, f"SELECT count(*) FROM {table}"))
