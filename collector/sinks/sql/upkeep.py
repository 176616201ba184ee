"""Delete old bookkeeping, a slice at a time: each slice is one short call in the thread that writes.

A chore yields slices until it is done; each begins and ends a transaction of its own.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import sqlalchemy as sa

from collector.database import Tables
from collector.sinks.contract import Value
from collector.sinks.sql import multi_row

Slice = Callable[[sa.Connection], int]  # returns how many rows, or pages, are gone
Chore = Callable[[], Iterator[Slice]]

# A batch that is committed, but whose word got lost, is still in somebody's spool, and only the ledger keeps
# it from being written twice. As batches keep their order, it can only be a last one of its session.
LAST_OF_A_SESSION_NS = 600 * 10**9
_INCREMENTAL = 2  # what PRAGMA auto_vacuum then says
_ROWS_A_PAGE = 8  # of a slice: to free a page takes as long as to delete so many rows
_LOG_PAGES = 4096  # a write-ahead log beyond these is emptied and cut


def prune_batches(tables: Tables, before_ns: int, own_session: str, rows: int) -> Iterator[Slice]:
    """Delete batch ids committed before that time, but for the last of each session that is not our own."""
    ledger, sessions, from_stream = tables.batches, tables.sessions, tables.stream_sessions
    may_go = sa.or_(
        ledger.c.session_id == own_session,
        sa.exists().where(
            sessions.c.session_id == ledger.c.session_id,
            sessions.c.ended_ns > ledger.c.committed_ns + LAST_OF_A_SESSION_NS,
        ),
        sa.exists().where(
            from_stream.c.session_id == ledger.c.session_id,
            from_stream.c.heard_ns > ledger.c.committed_ns + LAST_OF_A_SESSION_NS,
        ),
    )
    return _prune(ledger, ledger.c.batch_id, ledger.c.committed_ns, before_ns, rows, may_go)


def prune_events(tables: Tables, before_ns: int, rows: int) -> Iterator[Slice]:
    """Delete events that happened before that time."""
    return _prune(tables.events, tables.events.c.id, tables.events.c.at_ns, before_ns, rows)


def prune_rejected(tables: Tables, before_ns: int, rows: int) -> Iterator[Slice]:
    """Delete originals rejected before that time; their number stays in accounting."""
    return _prune(tables.rejected, tables.rejected.c.id, tables.rejected.c.at_ns, before_ns, rows)


def keep_quality(tables: Tables, rows: Sequence[Mapping[str, Value]]) -> Slice:
    """Return what writes rows of the daily report; those of the same table, day and stream are replaced."""
    own = {"table_name": tables.hot.name}

    def keep(connection: sa.Connection) -> int:
        with connection.begin():
            return multi_row.upsert(connection, tables.quality, [own | dict(row) for row in rows])

    return keep


def tidy_sqlite(tables: Tables, rows: int, *, refilled: bool = False) -> Iterator[Slice]:
    """Empty a long write-ahead log, update the planner's statistics, and free pages where that is enabled.

    Where pages are `refilled` soon, as many stay free as are in use: the file does not shrink to grow again.
    """

    def analyze(connection: sa.Connection) -> int:
        quote = connection.dialect.identifier_preparer
        with connection.begin():
            connection.exec_driver_sql("PRAGMA analysis_limit = 400")  # rows of an index, not all
            for table in tables.hot.metadata.sorted_tables:  # of ours, not a bot's
                connection.exec_driver_sql(f"ANALYZE {quote.format_table(table)}")
        return 0

    def free_pages(connection: sa.Connection) -> int:
        driver = _driver(connection)
        before = _pragma(driver, "freelist_count")
        stay = _pragma(driver, "page_count") - before if refilled else 0
        spare = min(rows // _ROWS_A_PAGE, before - stay)
        if spare > 0 and _pragma(driver, "auto_vacuum") == _INCREMENTAL:
            # A page a step, and no columns: of these `execute` takes one, and a script all. It ends a
            # transaction that is open, and is one by itself.
            driver.executescript(f"PRAGMA incremental_vacuum({spare})")
        freed.append(before - _pragma(driver, "freelist_count"))
        return freed[-1]

    freed: list[int] = []
    yield empty_log
    yield analyze
    yield free_pages
    while freed[-1]:
        yield free_pages


def empty_log(connection: sa.Connection) -> int:
    """Copy a long log into the database and truncate it, without waiting for readers."""
    driver = _driver(connection)
    (patience_ms,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        # Outside of a transaction, or it would wait for itself.
        _, pages, _ = driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > _LOG_PAGES:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        driver.execute(f"PRAGMA busy_timeout = {patience_ms}")
    return max(int(pages), 0)


def _prune(
    table: sa.Table,
    key: sa.Column[object],
    at_ns: sa.Column[int],
    before_ns: int,
    rows: int,
    may_go: sa.ColumnElement[bool] | None = None,
) -> Iterator[Slice]:
    """Delete old rows from the beginning of the table, looking at so many rows a slice.

    Keys grow with time. Rows that must stay are skipped, so that no slice looks at more rows than that.
    """
    position: list[object] = [None]
    is_over = False

    def prune(connection: sa.Connection) -> int:
        nonlocal is_over
        after = sa.true() if position[0] is None else key > position[0]
        with connection.begin():
            seen = connection.execute(sa.select(key, at_ns).where(after).order_by(key).limit(rows)).all()
            some_old = any(happened_ns is None or happened_ns < before_ns for _, happened_ns in seen)
            is_over = len(seen) < rows or not some_old
            if not some_old:
                return 0
            position[0] = seen[-1][0]
            span = sa.and_(after, key <= position[0], sa.or_(at_ns.is_(None), at_ns < before_ns))
            doomed = sa.delete(table).where(span if may_go is None else sa.and_(span, may_go))
            return connection.execute(doomed).rowcount

    while not is_over:
        yield prune


def _driver(connection: sa.Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _pragma(driver: sqlite3.Connection, name: str) -> int:
    return int(driver.execute(f"PRAGMA {name}").fetchone()[0])
