"""Maintain the database: prune the bookkeeping, move old rows into files, tidy.

The thread that does so touches no database: it submits slices to the writer thread, one at a time, and waits
for each.
"""

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path

from collector.app.jobs import Ending, Every, Job
from collector.database import database_url, make_tables, sqlite_path
from collector.errors import CollectorError
from collector.retention import RetentionOptions
from collector.sinks import (
    Chore,
    Slice,
    SqlSink,
    Store,
    UpkeepOptions,
    empty_log,
    prune_batches,
    prune_events,
    prune_job_runs,
    prune_rejected,
    tidy_sqlite,
)
from collector.writer import Task

NS_A_DAY = 86_400 * 10**9
SLICE_TIMEOUT_S = 120.0
HOURS_EVERY_S = 300.0  # to look for an hour that is to leave: what waits for it lies in the database
LOOK_S = 0.1  # whether to stop, while a slice waits for the writer
TURN = "housekeeping"


class Housekeeping:
    """The chores of one database, each a job: one at a time, slice by slice."""

    def __init__(
        self, submit: Callable[[Slice], Future[int]], *, every_s: float, timeout_s: float = 3600.0
    ) -> None:
        self._submit = submit
        self.every_s = every_s
        self._timeout_s = timeout_s
        self.jobs: list[Job] = []

    def add(
        self,
        name: str,
        what: str,
        chore: Chore,
        *,
        did: str = "rows gone",
        every_s: float | None = None,
        quiet: bool = False,
        break_off: Callable[[], None] = lambda: None,
    ) -> None:
        """Add a chore; `break_off` ends what it does between two slices, `did` says what it counts."""

        def work(ending: Ending) -> str:
            count = self.run(chore, ending)
            return f"{count:,} {did}" if count else ""

        due = Every(self.every_s if every_s is None else every_s)
        self.jobs.append(Job(name, what, work, due, self._timeout_s, TURN, break_off, quiet))

    def run(self, chore: Chore, ending: Ending) -> int:
        """Run a chore, slice by slice until it is to end; return the sum of its counts."""
        done = 0
        with closing(_begun(chore)) as slices:
            for one in slices:
                if ending.is_asked:
                    break
                done += result_of(self._submit(one), ending)
        return done


def result_of(given: Future[int], ending: Ending) -> int:
    """Wait for what the writer was given; leave it to the writer when the run is to end."""
    deadline_s = time.monotonic() + SLICE_TIMEOUT_S
    while not wait_for([given], LOOK_S).done:
        if ending.is_asked or time.monotonic() > deadline_s:
            given.cancel()
            raise CollectorError(f"the writer has not done its part within {SLICE_TIMEOUT_S:g} s")
    return given.result()


def _begun(chore: Chore) -> Generator[Slice, None, None]:
    yield from chore()


def housekeeping_of(
    store: Store[object],
    url: str,
    table_name: str,
    session_id: str,
    submit: Callable[[Task], Future[int]],
    *,
    upkeep: UpkeepOptions,
    retention: RetentionOptions,
    timeout_s: float = 3600.0,
    checkpoint_every_s: float | None = None,
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
        timeout_s=timeout_s,
        checkpoint_every_s=checkpoint_every_s,
    )


def make_housekeeping(
    url: str,
    table_name: str,
    session_id: str,
    submit: Callable[[Slice], Future[int]],
    *,
    upkeep: UpkeepOptions,
    retention: RetentionOptions,
    timeout_s: float = 3600.0,
    checkpoint_every_s: float | None = None,
) -> Housekeeping:
    """Return the housekeeping of a collector's own database, not started.

    Raises MissingExtra where old rows are to be moved to files, and what writes these is not installed.
    """
    known, rows = make_tables(table_name), upkeep.slice_rows
    keeping = Housekeeping(submit, every_s=upkeep.every_s, timeout_s=timeout_s)

    def before_ns(days: float) -> int:
        return time.time_ns() - int(days * NS_A_DAY)

    keeping.add(
        "batches",
        "forget which batches are in, after housekeeping.batches_days",
        lambda: prune_batches(known, before_ns(upkeep.batches_days), session_id, rows),
    )
    keeping.add(
        "events",
        "forget what happened, after housekeeping.events_days",
        lambda: chain(
            prune_events(known, before_ns(upkeep.events_days), rows),
            prune_job_runs(known, before_ns(upkeep.events_days)),
        ),
    )
    keeping.add(
        "rejected",
        "forget what was refused, after housekeeping.rejected_days",
        lambda: prune_rejected(known, before_ns(upkeep.rejected_days), rows),
    )
    if retention.is_on:
        _add_archive(keeping, url, table_name, retention, rows)
    if sqlite_path(database_url(url)) is not None:
        keeping.add(
            "tidy",
            "renew the statistics of an SQLite file, and free its empty pages",
            lambda: tidy_sqlite(known, rows, refilled=retention.hot_hours is not None),
            did="pages written or freed",
        )
        if checkpoint_every_s is not None:
            keeping.add(
                "checkpoint",
                "copy the log of an SQLite file into it, and cut a long one",
                lambda: iter([empty_log]),
                did="pages in the log",
                every_s=checkpoint_every_s,
                quiet=True,
            )
    return keeping


def _add_archive(
    keeping: Housekeeping, url: str, table_name: str, retention: RetentionOptions, rows: int
) -> None:
    """Add the chore that moves old rows into files."""
    # Imported only here, as it imports pandas and pyarrow.
    from collector.query import extra  # noqa: PLC0415
    from collector.retention import Retention, Stop, archive_slices  # noqa: PLC0415

    extra("pyarrow.parquet", "parquet")
    hours = retention.hot_hours
    kept = Retention(retention.days, Path(retention.path).expanduser(), rows, hours)
    under_way: list[Stop] = []  # of the run, if there is one: each run has its own

    def archive() -> Iterator[Slice]:
        stop = Stop()
        under_way[:] = [stop]
        return archive_slices(url, table_name, kept, stop=stop)

    def break_off() -> None:
        for stop in under_way:
            stop.ask()

    keeping.add(
        "archive",
        f"move rows older than retention.{'days' if hours is None else 'hot_hours'} into files",
        archive,
        did="rows moved",
        every_s=None if hours is None else min(keeping.every_s, HOURS_EVERY_S),
        break_off=break_off,
    )
