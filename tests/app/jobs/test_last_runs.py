"""The last run of each job outlives a restart; a daily job runs once a day, however often one restarts."""

import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

sys.path.insert(0, str(Path(__file__).parents[2]))
from any_database import in_a_file

from collector.app.jobs import jobs as module
from collector.app.jobs.job import Daily, Ending, Every, Job, Result
from collector.app.jobs.jobs import Jobs
from collector.app.jobs.last_runs import LastRuns
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.errors import CollectorError
from collector.query import failing_chores, last_job_runs
from collector.sinks.sql.sink import SqlSink
from collector.writer.tasks import TaskQueue

PATIENCE_S = 30.0
pytestmark = in_a_file

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
AT_S = 900.0  # after midnight
TABLES = make_tables(DEFAULT_TABLE_NAME)


class Writer:
    """Writes a database in a thread of its own; what is submitted while it is away waits."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.tasks = TaskQueue()
        self.is_back, self._ending = threading.Event(), threading.Event()
        self.is_back.set()
        self._sink = SqlSink(url)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._sink.open()
        while not self._ending.is_set():
            if not (self.is_back.is_set() and self.tasks.do_one()):
                self._ending.wait(0.002)
        self.tasks.close()
        self._sink.close()

    def submit(self, one: Callable[[sa.Connection], int]) -> Any:
        return self.tasks.submit(lambda: self._sink.maintain(one))

    def settle(self) -> None:
        """Wait until all that was submitted is done."""
        self.tasks.submit(lambda: 0).result(PATIENCE_S)

    def close(self) -> None:
        self._ending.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.fixture
def session(any_database: str) -> Iterator[Callable[..., tuple[Jobs, Writer]]]:
    """Return a function that starts a collector's jobs on the database; all are stopped in the end."""
    begun: list[tuple[Jobs, Writer]] = []

    def start(*jobs: Job, away: bool = False) -> tuple[Jobs, Writer]:
        for one, writer in begun:
            one.stop()
            writer.settle()
            writer.close()
        begun.clear()
        writer = Writer(any_database)
        if away:
            writer.is_back.clear()
        begun.append((Jobs(jobs, last_runs=LastRuns(TABLES, "s", writer.submit)), writer))
        begun[-1][0].start()
        if not away:
            writer.settle()
        return begun[-1]

    yield start
    for jobs, writer in begun:
        jobs.stop()
        writer.close()


def daily(work: Callable[[Ending], str] = lambda _: "a day") -> Job:
    return Job("report", "reports", work, Daily(AT_S), 60.0)


def next_of(jobs: Jobs, name: str = "report") -> datetime:
    return datetime.fromtimestamp(jobs.state(name).next_ns / 1e9, UTC)


def test_what_came_of_the_last_run_is_known_after_a_restart(
    session: Callable[..., Any], any_database: str
) -> None:
    def fail(_: Ending) -> str:
        raise CollectorError("no room")

    every = [Job("tidy", "tidies", lambda _: "3 pages", Every(7200), 60.0)]
    jobs, _ = session(daily(fail), *every)
    jobs.run("tidy")
    before = jobs.run("report")
    jobs, _ = session(daily(fail), *every)
    after = jobs.state("report")
    assert (after.last_result, after.last_error, after.runs) == (Result.FAILED, "no room", 0)
    assert (after.last_start_ns, after.last_error_ns) == (before.last_start_ns, before.last_error_ns)
    assert jobs.state("tidy").last_text == "3 pages"
    assert [one["name"] for one in last_job_runs(any_database)] == ["report", "tidy"]
    assert [(one["chore"], one["problem"]) for one in failing_chores(any_database)] == [("report", "no room")]
    session(*every)  # nobody reports any more
    assert [one["name"] for one in last_job_runs(any_database)] == ["tidy"]
    assert failing_chores(any_database) == []


def test_a_daily_job_that_was_done_is_not_done_again_at_each_restart(session: Callable[..., Any]) -> None:
    with time_machine.travel(NOON.replace(minute=0), tick=False) as traveller:
        jobs, _ = session(daily())
        assert next_of(jobs) == NOON + timedelta(seconds=module.FIRST_AFTER_S)  # it was never done
        jobs.run("report")
        for _ in range(2):
            traveller.shift(timedelta(hours=1))
            jobs, _ = session(daily())
            assert next_of(jobs) == NOON.replace(hour=0) + timedelta(days=1, seconds=AT_S)


def test_a_daily_job_that_was_missed_or_not_done_is_made_up_soon_after_the_start(
    session: Callable[..., Any],
) -> None:
    soon = timedelta(seconds=module.FIRST_AFTER_S)
    with time_machine.travel(NOON, tick=False) as traveller:
        jobs, _ = session(daily())
        jobs.run("report")
        traveller.shift(timedelta(hours=12, minutes=20))  # off at a quarter past midnight
        jobs, _ = session(daily())
        assert next_of(jobs) == NOON + timedelta(hours=12, minutes=20) + soon
        jobs.run("report")
        traveller.shift(timedelta(hours=-20))  # the clock had been ahead: that run says nothing
        jobs, _ = session(daily())
        assert next_of(jobs) == NOON + timedelta(hours=-8, minutes=20) + soon


def test_runs_wait_for_a_database_that_is_away_at_the_start(
    session: Callable[..., Any], any_database: str
) -> None:
    with time_machine.travel(NOON, tick=False):
        jobs, _ = session(daily())
        jobs.run("report")
        jobs, writer = session(daily(), away=True)
        assert next_of(jobs) == NOON + timedelta(seconds=module.FIRST_AFTER_S)
        waiting = len(writer.tasks._waiting)
        for _ in range(50):
            jobs.run("report")
        assert len(writer.tasks._waiting) == waiting + 1  # only the last of a job's runs is wanted
        writer.is_back.set()
        writer.settle()
        assert next_of(jobs) == NOON.replace(hour=0) + timedelta(days=1, seconds=AT_S)
        assert jobs.state("report").runs == 50
        assert len(last_job_runs(any_database)) == 1
