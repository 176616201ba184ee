"""A copy of a database whose days were all moved to files, and what to ask of it."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet  # noqa: F401  (before the clock starts, as pandas is)

from bench.long_table import SYMBOL
from bench.report import Report
from collector import load_features
from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME
from collector.database.url import database_url
from collector.retention.move import Retention, archive_slices

TOUCH = ("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1")
OF_FILES = "load_features, archived touch"
_SLICE_ROWS = 50_000


def make_archived(path: Path) -> Path:
    """Copy a database, and move all its days to files; return where the copy is."""
    copy = archived_beside(path)
    shutil.copy(path, copy)
    engine = make_engine(database_url(str(copy)), synchronous="OFF")
    retention = Retention(1, path.parent / "archive", slice_rows=_SLICE_ROWS)
    for one in archive_slices(str(copy), DEFAULT_TABLE_NAME, retention):
        with engine.connect() as connection:
            one(connection)
    engine.dispose()
    return copy


def archived_beside(path: Path) -> Path:
    """Return where the copy of a database is."""
    return path.with_name(f"{path.stem}-archived{path.suffix}")


def _touch_by_pandas(path: Path) -> int:
    """Read four columns of the rows in the table, with when and of which segment they are."""
    question = (
        f"SELECT timestamp, segment_id, {', '.join(TOUCH)} FROM {DEFAULT_TABLE_NAME} "
        f"WHERE symbol = '{SYMBOL}' AND exchange = 'bybit' ORDER BY timestamp"
    )
    with sqlite3.connect(path) as connection:
        return len(pd.read_sql(question, connection))


def _touch_of_files(path: Path) -> int:
    return len(load_features(archived_beside(path), SYMBOL, columns=TOUCH))


def _rows_of_files(path: Path) -> int:
    return len(load_features(archived_beside(path), SYMBOL))


# By name: what it is beside, and the way; all columns are beside those of the table.
ARCHIVED_WAYS: dict[str, tuple[str, Callable[[Path, Path], int]]] = {
    "load_features, archived rows": ("rows", lambda path, _: _rows_of_files(path)),
    "read_sql (sqlite3), touch": ("archived touch", lambda path, _: _touch_by_pandas(path)),
    OF_FILES: ("archived touch", lambda path, _: _touch_of_files(path)),
}


def verdict(report: Report, name: str, times_less_cpu: float) -> None:
    """Hold four columns of archived days against what is wanted."""
    if name == OF_FILES:
        report.verdict("four columns of archived days: times less CPU than read_sql", times_less_cpu, "25")
