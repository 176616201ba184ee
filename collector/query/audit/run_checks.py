"""Run all checks of the audit, in one transaction and in memory that does not grow with rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.query.audit import bars, bookkeeping, books, levels, trades
from collector.query.audit.finding import Finding
from collector.query.audit.segments import Segments, unfinished
from collector.query.database import Database, as_stored, reading

__all__ = ["Audit", "Finding", "run_audit"]


@dataclass(frozen=True, slots=True)
class Audit:
    """The extent of an audit, what is wrong, and what is not but should be known."""

    rows: int
    segments: int
    streams: int
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether nothing was found."""
        return not self.findings


def run_audit(
    database: Database,
    *,
    table_name: str = DEFAULT_TABLE_NAME,
    on_progress: Callable[[int, int], None] | None = None,
) -> Audit:
    """Check identity, coverage, order, derived columns, levels, trades and bars against each other."""
    with reading(database, table_name) as (connection, tables):
        present = set(sa.inspect(connection).get_table_names())
        of_books = (tables.hot, tables.levels)
        row_tables = [
            table
            for table in (*of_books, tables.trades, tables.ohlcv, tables.ohlcv_corrections)
            if table.name in present  # a database of an earlier version has not all of them
        ]
        count = sum(_count(connection, table) for table in row_tables)
        progress = _Progress(on_progress, count)
        segments = Segments.read(connection, tables)
        told = list(_findings(connection, tables, row_tables, segments, progress))
    findings, notes = (tuple(one for one in told if one.is_note is is_note) for is_note in (False, True))
    return Audit(count, len(segments.by_id), len(segments.streams), findings, notes)


def _findings(
    connection: sa.Connection,
    tables: Tables,
    row_tables: list[sa.Table],
    segments: Segments,
    progress: "_Progress",
) -> Iterator[Finding]:
    yield from bookkeeping.findings(connection, tables)
    yield from books.findings(connection, tables.hot, segments, progress.add)
    if tables.levels in row_tables:
        yield from levels.findings(connection, tables, segments, progress.add)
    if tables.trades in row_tables:
        table = as_stored(connection, tables.trades)
        yield from trades.findings(connection, table, segments, progress.add)
    if tables.ohlcv in row_tables:
        yield from bars.findings(connection, tables, segments, progress.add)
    yield from segments.findings()
    yield from unfinished(connection, tables)


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


class _Progress:
    """Adds up the rows that are checked, over all tables."""

    def __init__(self, report: Callable[[int, int], None] | None, total: int) -> None:
        self._report = report
        self._total = total
        self._done = 0

    def add(self, rows: int) -> None:
        """Report further rows as checked."""
        self._done += rows
        if self._report is not None:
            self._report(min(self._done, self._total), self._total)
