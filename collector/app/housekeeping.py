"""Run scheduled maintenance: prune the bookkeeping, move old rows into files, tidy the database.

The scheduler's thread touches no database: it submits slices to the writer thread, one at a time, and waits
for each. Watchdogs belong elsewhere: the scheduler goes by the wall clock, and when that is put back it
stops until `clock_stepped` is called.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from collector.database.tables import tables
from collector.database.url import database_url, sqlite_path
from collector.errors import CollectorError
from collector.retention.options import RetentionOptions
from collector.sinks.contract import Store
from collector.sinks.options import UpkeepOptions
from collector.sinks.sql.sink import SqlSink
from collector.sinks.sql.upkeep import (
    Chore,
    Slice,
    prune_batches,
    prune_events,
    prune_rejected,
    tidy_sqlite,
)
from collector.writer.tasks import Task

NS_A_DAY = 86_400 * 10**9
SLICE_TIMEOUT_S = 120.0
FIRST_AFTER_S = 60.0  # a start has other things to do

log = structlog.get_logger()


class Housekeeping:
    """Runs each chore every `every_s` seconds, one at a time, slice by slice."""

    def __init__(self, submit: Callable[[Slice], Future[int]], *, every_s: float) -> None:
        self._submit = submit
        self._every = timedelta(seconds=every_s)
        self._chores: dict[str, Chore] = {}
        self._one_at_a_time = threading.Lock()
        self._stopping = threading.Event()
        self._scheduler = BackgroundScheduler(timezone=UTC, daemon=True)

    def add(self, name: str, chore: Chore) -> None:
        """Add a chore to the schedule."""
        self._chores[name] = chore

    def start(self) -> None:
        """Start the scheduler's thread."""
        first = datetime.now(UTC) + min(self._every, timedelta(seconds=FIRST_AFTER_S))
        self._scheduler.start()
        for name in self._chores:
            self._scheduler.add_job(
                self.run,
                "interval",
                [name],
                seconds=self._every.total_seconds(),
                id=name,
                next_run_time=first,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,  # late is better than never
            )

    def clock_stepped(self, *_: object) -> None:
        """Schedule every chore anew, by the wall clock as it is now."""
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=datetime.now(UTC) + self._every)

    def ask_to_stop(self) -> None:
        """Start no more slices."""
        self._stopping.set()

    def stop(self) -> None:
        """Stop the scheduler after the slice that the writer has been given. Idempotent."""
        self._stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def run(self, name: str) -> int:
        """Run a chore now; return the sum of its slices' counts. Log an error: the next run tries again."""
        done = 0
        with self._one_at_a_time:
            try:
                for one in self._chores[name]():
                    if self._stopping.is_set():
                        break
                    done += self._submit(one).result(SLICE_TIMEOUT_S)
            except (CollectorError, CancelledError, FutureTimeoutError) as error:
                if not self._stopping.is_set():
                    log.warning("housekeeping.refused", chore=name, error=str(error) or type(error).__name__)
        if done:
            log.info("housekeeping.done", chore=name, count=done)
        return done


def housekeeping_of(
    store: Store[object],
    url: str,
    table_name: str,
    session_id: str,
    submit: Callable[[Task], Future[int]],
    *,
    upkeep: UpkeepOptions,
    retention: RetentionOptions,
) -> Housekeeping | None:
    """Return the housekeeping of an SQL store, not started; None for a store of another kind."""
    if not isinstance(store, SqlSink):
        return None
    return make_housekeeping(
        url,
        table_name,
        session_id,
        lambda one: submit(partial(store.maintain, one)),
        upkeep=upkeep,
        retention=retention,
    )


def make_housekeeping(
    url: str,
    table_name: str,
    session_id: str,
    submit: Callable[[Slice], Future[int]],
    *,
    upkeep: UpkeepOptions,
    retention: RetentionOptions,
) -> Housekeeping:
    """Return the housekeeping of a collector's own database, not started."""
    known, rows = tables(table_name), upkeep.slice_rows
    keeping = Housekeeping(submit, every_s=upkeep.every_s)

    def before_ns(days: float) -> int:
        return time.time_ns() - int(days * NS_A_DAY)

    keeping.add("batches", lambda: prune_batches(known, before_ns(upkeep.batches_days), session_id, rows))
    keeping.add("events", lambda: prune_events(known, before_ns(upkeep.events_days), rows))
    keeping.add("rejected", lambda: prune_rejected(known, before_ns(upkeep.rejected_days), rows))
    if retention.days is not None:
        # Imported only here, as it imports pandas and pyarrow.
        from collector.retention.move import Retention, archive_slices  # noqa: PLC0415

        kept = Retention(retention.days, Path(retention.path), rows)
        keeping.add("archive", lambda: archive_slices(url, table_name, kept))
    if sqlite_path(database_url(url)) is not None:
        keeping.add("tidy", lambda: tidy_sqlite(known, rows))
    return keeping
