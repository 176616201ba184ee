"""Keep the last run of each job: a row a job, which the next run replaces."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import sqlalchemy as sa

from collector.database import Tables
from collector.sinks.contract import Value
from collector.sinks.sql import multi_row


def keep_job_runs(
    tables: Tables, take: Callable[[], Sequence[Mapping[str, Value]]]
) -> Callable[[sa.Connection], int]:
    """Return what writes the runs that `take` gives by then; those of the same job are replaced."""
    own = {"table_name": tables.hot.name}

    def keep(connection: sa.Connection) -> int:
        with connection.begin():
            return multi_row.upsert(connection, tables.jobs, [own | dict(run) for run in take()])

    return keep


def forget_job_runs(tables: Tables, but: Collection[str]) -> Callable[[sa.Connection], int]:
    """Return what deletes the runs of jobs but those named: nobody has the others any more."""
    jobs = tables.jobs

    def forget(connection: sa.Connection) -> int:
        with connection.begin():
            others = sa.delete(jobs).where(jobs.c.table_name == tables.hot.name, jobs.c.name.not_in(but))
            return connection.execute(others).rowcount

    return forget


def prune_job_runs(tables: Tables, before_ns: int) -> Iterator[Callable[[sa.Connection], int]]:
    """Delete runs from before that time, whosever they are: a few rows at most."""
    jobs = tables.jobs

    def prune(connection: sa.Connection) -> int:
        with connection.begin():
            return connection.execute(sa.delete(jobs).where(jobs.c.last_start_ns < before_ns)).rowcount

    yield prune
