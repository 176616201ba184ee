"""Run scheduled maintenance: prune the bookkeeping, move old rows into files, tidy the database.

The scheduler's thread touches no database: it submits slices to the writer thread, one at a time, and waits
for each. Watchdogs belong elsewhere: the scheduler goes by the wall clock, and when that is put back it
stops until `clock_stepped` is called.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from collector.database import database_url, make_tables, may_come_back, sqlite_path
from collector.errors import CollectorError, DatabaseInUse, in_one_line
from collector.events import ChoreState
from collector.retention import RetentionOptions
from collector.sinks import (
    Chore,
    Slice,
    SqlSink,
    Store,
    UpkeepOptions,
    prune_batches,
    prune_events,
    prune_rejected,
    tidy_sqlite,
)
from collector.writer import Task

NS_A_DAY = 86_400 * 10**9
SLICE_TIMEOUT_S = 120.0
FIRST_AFTER_S = 60.0  # a start has other things to do
LOOK_S = 0.1  # whether to stop, while a slice waits for the writer
LIBRARY = "apscheduler"  # the name of its own logger

log = structlog.get_logger()


class Housekeeping:
    """Runs each chore every `every_s` seconds, one at a time, slice by slice."""

    def __init__(
        self,
        submit: Callable[[Slice], Future[int]],
        *,
        every_s: float,
        publish: Callable[[ChoreState], None] = lambda _: None,
    ) -> None:
        self._submit = submit
        self._every = timedelta(seconds=every_s)
        self._publish = publish
        self._chores: dict[str, Chore] = {}
        self._break_off: list[Callable[[], None]] = []
        self._failing: set[str] = set()
        self._one_at_a_time = threading.Lock()
        self._stopping = threading.Event()
        self._scheduler = BackgroundScheduler(timezone=UTC, daemon=True)
        self._scheduler.add_listener(_log_overlap, EVENT_JOB_MAX_INSTANCES)
        # What it would say itself is told here; without a handler it would go to standard error as it is.
        logging.getLogger(LIBRARY).addHandler(logging.NullHandler())

    def add(self, name: str, chore: Chore, break_off: Callable[[], None] | None = None) -> None:
        """Add a chore to the schedule; `break_off` ends what it does between two slices."""
        self._chores[name] = chore
        if break_off is not None:
            self._break_off.append(break_off)

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
        """Start no more slices, and break off what is done between two of them."""
        self._stopping.set()
        for break_off in self._break_off:
            break_off()

    def stop(self) -> None:
        """Stop the scheduler; a slice that the writer has been given is the writer's. Idempotent."""
        self.ask_to_stop()
        while not self._one_at_a_time.acquire(timeout=LOOK_S):
            self.ask_to_stop()  # what it had begun since the last time
        self._one_at_a_time.release()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def run(self, name: str) -> int:
        """Run a chore now; return the sum of its counts. An error is logged: the next run tries again."""
        done, problem = 0, ""
        with self._one_at_a_time:
            try:
                with closing(_begun(self._chores[name])) as slices:
                    for one in slices:
                        if self._stopping.is_set():
                            break
                        done += self._result(self._submit(one))
            except DatabaseInUse as other:
                log.info("housekeeping.left_to_another", chore=name, reason=str(other))
            except Exception as error:
                problem = str(error) if isinstance(error, CollectorError) else in_one_line(error)
                if not self._stopping.is_set():
                    unforeseen = not (isinstance(error, CollectorError) or may_come_back(error))
                    log.exception("housekeeping.failed", chore=name, error=problem, exc_info=unforeseen)
        if done:
            log.info("housekeeping.done", chore=name, count=done)
        if not self._stopping.is_set():
            self._tell(name, problem)
        return done

    def _result(self, given: Future[int]) -> int:
        """Wait for a slice; leave it to the writer when stopping."""
        deadline_s = time.monotonic() + SLICE_TIMEOUT_S
        while not wait_for([given], LOOK_S).done:
            if self._stopping.is_set() or time.monotonic() > deadline_s:
                given.cancel()
                raise CollectorError(f"the writer has not done its part within {SLICE_TIMEOUT_S:g} s")
        return given.result()

    def _tell(self, name: str, problem: str) -> None:
        """Publish a failure each time, and once that it is over."""
        if problem or name in self._failing:
            self._publish(ChoreState(name, time.time_ns(), problem))
        (self._failing.add if problem else self._failing.discard)(name)


def _begun(chore: Chore) -> Generator[Slice, None, None]:
    yield from chore()


def _log_overlap(event: JobSubmissionEvent) -> None:
    log.info("housekeeping.still_running", chore=event.job_id)


def housekeeping_of(
    store: Store[object],
    url: str,
    table_name: str,
    session_id: str,
    submit: Callable[[Task], Future[int]],
    *,
    upkeep: UpkeepOptions,
    retention: RetentionOptions,
    publish: Callable[[ChoreState], None] = lambda _: None,
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
        publish=publish,
    )


def make_housekeeping(
    url: str,
    table_name: str,
    session_id: str,
    submit: Callable[[Slice], Future[int]],
    *,
    upkeep: UpkeepOptions,
    retention: RetentionOptions,
    publish: Callable[[ChoreState], None] = lambda _: None,
) -> Housekeeping:
    """Return the housekeeping of a collector's own database, not started.

    Raises MissingExtra where old rows are to be moved to files, and what writes these is not installed.
    """
    known, rows = make_tables(table_name), upkeep.slice_rows
    keeping = Housekeeping(submit, every_s=upkeep.every_s, publish=publish)

    def before_ns(days: float) -> int:
        return time.time_ns() - int(days * NS_A_DAY)

    keeping.add("batches", lambda: prune_batches(known, before_ns(upkeep.batches_days), session_id, rows))
    keeping.add("events", lambda: prune_events(known, before_ns(upkeep.events_days), rows))
    keeping.add("rejected", lambda: prune_rejected(known, before_ns(upkeep.rejected_days), rows))
    if retention.days is not None:
        # Imported only here, as it imports pandas and pyarrow.
        from collector.query import extra  # noqa: PLC0415
        from collector.retention import Retention, Stop, archive_slices  # noqa: PLC0415

        extra("pyarrow.parquet", "parquet")
        stop = Stop()
        kept = Retention(retention.days, Path(retention.path).expanduser(), rows)
        keeping.add("archive", lambda: archive_slices(url, table_name, kept, stop=stop), stop.ask)
    if sqlite_path(database_url(url)) is not None:
        keeping.add("tidy", lambda: tidy_sqlite(known, rows))
    return keeping
