"""What a day of books takes on disk: all of it in SQLite, and with `retention.hot_hours` hour after hour.

    python benchmarks/disk.py [--quick] [--json]

The simulator's markets, written by the collector's preparation and sink; the clock is that of the day that is
simulated. Five minutes into each hour the archive's job and the tidying run as in a collector, slice by slice.
Bytes are of the SQLite file, of its log, and of the files of the archive, by the rows that there are at the
time; `largest` is what all together came to at most. CPU is that of the process.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from bench.report import Report, run
from bench.simulated_day import HOUR_NS, SimulatedDay

from collector.database.held_log import database_bytes, log_bytes
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.retention.move import Retention, archive_slices
from collector.sinks.sql.sink import SqlSink
from collector.sinks.sql.upkeep import empty_log, tidy_sqlite

START_NS = 1_700_006_400_000_000_000 // (24 * HOUR_NS) * 24 * HOUR_NS
MINUTE_NS = HOUR_NS // 60
JOB_AFTER_NS = 5 * MINUTE_NS  # the job looks every five minutes
SLICE_ROWS = 2_000
WANTED_BYTES = 60.0


class Plan(NamedTuple):
    """How much is measured."""

    markets: int
    rows_a_second: float
    hours: int


WHOLE = Plan(5, 8.0, 24)
QUICK = Plan(2, 8.0, 2)
HOURS_OF_SQL = 2  # are enough where nothing moves: a row takes the same in each


class Day:
    """A database that is written, and the folder that it is moved to."""

    def __init__(self, folder: Path, plan: Plan, hot_hours: int | None) -> None:
        self._folder = folder / "archive"
        self._file = folder / "live.db"
        self._sink = SqlSink(str(self._file), auto_migrate=True, synchronous="NORMAL")
        self._sink.open()
        self._day = SimulatedDay(self._sink, plan.markets, plan.rows_a_second, START_NS)
        self._hot_hours = hot_hours
        self._archived = 0
        self.rows = self.moved = 0
        self.write_s = self.move_s = self.longest_s = 0.0
        self.largest = 0

    def live(self, hours: int) -> None:
        """Let so many hours pass."""
        for hour in range(hours):
            begin_ns = START_NS + hour * HOUR_NS
            self._collect(begin_ns + JOB_AFTER_NS)
            self._keep_house(begin_ns + JOB_AFTER_NS)
            self._collect(begin_ns + HOUR_NS)
        self._collect(START_NS + hours * HOUR_NS)

    def close_the_day(self, hours: int) -> None:
        """Run the job for the last time, when the last hour has aged: the day becomes one file."""
        self._keep_house(START_NS + (hours + (self._hot_hours or 0)) * HOUR_NS + JOB_AFTER_NS)

    @property
    def database_bytes(self) -> int:
        """Return the size of the file and its log."""
        return database_bytes(self._file)

    @property
    def log_bytes(self) -> int:
        """Return the size of the log alone."""
        return log_bytes(self._file)

    @property
    def archive_bytes(self) -> int:
        """Return the size of the files that rows were moved to."""
        return sum(one.stat().st_size for one in self._folder.rglob("*") if one.is_file())

    def close(self) -> None:
        """Close the database."""
        self._sink.close()

    def _collect(self, until_ns: int) -> None:
        for batch in self._day.batches(until_ns):
            began_s = time.process_time()
            self.rows += self._day.write(batch)
            self.write_s += time.process_time() - began_s
            self.largest = max(self.largest, self.database_bytes + self._archived)

    def _keep_house(self, now_ns: int) -> None:
        self._sink.maintain(_as_if_written_then)
        if self._hot_hours is not None:
            kept = Retention(None, self._folder, SLICE_ROWS, self._hot_hours)
            now = datetime.fromtimestamp(now_ns / 1e9, UTC)
            moving = archive_slices(str(self._file), DEFAULT_TABLE_NAME, kept, lambda: now)
            self.moved += self._done(moving)
            self._archived = self.archive_bytes
            self.largest = max(self.largest, self.database_bytes + self._archived)
        tables = make_tables(DEFAULT_TABLE_NAME)
        self._done(tidy_sqlite(tables, SLICE_ROWS, refilled=self._hot_hours is not None))

    def _done(self, slices: Iterator[object]) -> int:
        done = 0
        began_s = time.process_time()
        with closing(slices):  # type: ignore[type-var]
            for one in slices:
                slice_began_s = time.monotonic()
                done += self._sink.maintain(one)  # type: ignore[arg-type]
                self.longest_s = max(self.longest_s, time.monotonic() - slice_began_s)
        self.move_s += time.process_time() - began_s
        return done


def _as_if_written_then(connection: sa.Connection) -> int:
    """Give rows the time of storing that they would have: it is of each second another, and compresses so."""
    with connection.begin():
        text = f"UPDATE {DEFAULT_TABLE_NAME} SET created_at = replace(substr(timestamp, 1, 19), 'T', ' ')"
        connection.exec_driver_sql(f"{text} WHERE created_at > '2025'")
    return empty_log(connection)


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure a day without and with hours that move."""
    plan = QUICK if options.quick else WHOLE
    for hot_hours in (None, 1):
        with tempfile.TemporaryDirectory(prefix="collector-disk-") as folder:
            day = Day(Path(folder), plan, hot_hours)
            try:
                hours = plan.hours if hot_hours else min(plan.hours, HOURS_OF_SQL)
                day.live(hours)
                report.add(hot_hours=hot_hours or "off", at="midnight", **_told(day))
                if hot_hours is not None:
                    a_row = day.largest / day.rows
                    report.verdict("bytes a row of the day, at most", a_row, f"<= {WANTED_BYTES:g}")
                    day.close_the_day(hours)
                    report.add(hot_hours=hot_hours, at="day closed", **_told(day))
            finally:
                day.close()


def _told(day: Day) -> dict[str, float | int]:
    rows = day.rows
    return {
        "rows": rows,
        "moved": day.moved,
        "SQL_bytes_a_row": round((day.database_bytes - day.log_bytes) / rows, 1),
        "log": round(day.log_bytes / rows, 1),
        "archive": round(day.archive_bytes / rows, 1),
        "together": round((day.database_bytes + day.archive_bytes) / rows, 1),
        "largest": round(day.largest / rows, 1),
        "us_a_row_written": round(day.write_s / rows * 1e6, 1),
        "moved_and_tidied": round(day.move_s / rows * 1e6, 1),
        "longest_slice_ms": round(day.longest_s * 1e3, 1),
    }


if __name__ == "__main__":
    run(__doc__, work)
