"""Jobs: each bounded in time, never twice at once, and on time whatever the wall clock does."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import structlog
import time_machine

from collector.app.jobs import jobs as module
from collector.app.jobs.job import Daily, Ending, Every, Job, JobState, Result
from collector.app.jobs.jobs import Jobs
from collector.errors import CollectorError, UserError
from collector.events.notices import ChoreState

PATIENCE_S = 30.0
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def started() -> Iterator[Callable[..., Jobs]]:
    """Return a function that starts jobs; all are stopped in the end, and leave no thread."""
    running: list[Jobs] = []

    def start(*jobs: Job, told: list[ChoreState] | None = None) -> Jobs:
        running.append(Jobs(jobs, publish=(told if told is not None else []).append))
        running[-1].start()
        return running[-1]

    yield start
    for jobs in running:
        jobs.stop()
    names = {one.name for one in threading.enumerate()}
    assert not [one for one in names if one.startswith(("APScheduler", "ThreadPool", "jobs-watch"))]


def counting(every_s: float) -> tuple[Job, threading.Semaphore]:
    done = threading.Semaphore(0)
    return Job("mark", "marks", lambda _: done.release() or "", Every(every_s), 60.0), done


def passed(times: int, done: threading.Semaphore) -> bool:
    return all(done.acquire(timeout=PATIENCE_S) for _ in range(times))


@pytest.mark.parametrize("hours", [-1, 1, -24 * 365 * 30])
def test_jobs_go_on_after_the_wall_clock_was_stepped(
    started: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Nobody tells: a thread that goes by the monotonic clock sees it."""
    monkeypatch.setattr(module, "WATCH_S", 0.05)
    job, done = counting(0.2)
    with time_machine.travel(NOON) as traveller:
        jobs = started(job)
        assert passed(2, done)
        traveller.shift(timedelta(hours=hours))
        assert passed(4, done)
        jobs.stop()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_step_changes_nothing_of_how_long_a_job_waits(
    started: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    monkeypatch.setattr(module, "FIRST_AFTER_S", 1800.0)
    job, _ = counting(7200.0)
    with time_machine.travel(NOON, tick=False) as traveller:
        jobs = started(job)
        traveller.shift(timedelta(hours=hours))
        jobs.clock_stepped(hours * 3600.0)
        due = NOON + timedelta(hours=hours, seconds=1800)
        assert jobs.state("mark").next_ns == int(due.timestamp()) * 10**9
        jobs.stop()


def test_a_daily_job_whose_time_was_jumped_over_runs_at_once(started: Callable[..., Jobs]) -> None:
    done = threading.Semaphore(0)
    daily = Job("report", "reports", lambda _: done.release() or "", Daily(600.0), 60.0)
    with time_machine.travel(NOON.replace(hour=23, minute=30)) as traveller:
        jobs = started(daily)
        jobs.run("report")  # as at the start, for the days that were missed
        assert passed(1, done)
        (scheduled,) = jobs._scheduler.get_jobs()
        scheduled.modify(next_run_time=NOON.replace(hour=0, minute=10) + timedelta(days=1))
        traveller.shift(timedelta(hours=1))
        jobs.clock_stepped(3600.0)
        assert passed(1, done)
        jobs.stop()


def test_a_daily_job_is_due_at_its_time_of_day() -> None:
    assert Daily(600.0).wait_s(NOON.replace(hour=0, minute=0)) == 600.0
    assert Daily(600.0).wait_s(NOON) == 12 * 3600.0 + 600.0
    assert str(Daily(600.0)) == "daily at 00:10 UTC"


@pytest.mark.parametrize(
    ("result", "began", "is_missed"),
    [
        ("done", timedelta(hours=-11), False),
        ("done", timedelta(hours=-12), True),  # before it was due
        ("stopped", timedelta(hours=-11), True),
        ("failed", timedelta(hours=-11), True),
        ("done", timedelta(hours=1), True),
        ("", timedelta(days=-10_000), True),
    ],
)
def test_a_daily_job_is_missed_when_nothing_was_done_since_it_was_due(
    result: str, began: timedelta, is_missed: bool
) -> None:
    at_ns = round((NOON + began).timestamp()) * 10**9
    last = JobState("report", "", "", 1.0, last_result=result, last_start_ns=at_ns)
    assert Daily(900.0).is_missed(last, NOON) is is_missed


def test_a_run_over_its_time_is_broken_off_and_the_next_one_goes_on(
    started: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WATCH_S", 0.02)
    told: list[ChoreState] = []
    broken, slow = threading.Event(), [True]

    def work(ending: Ending) -> str:
        if slow:
            assert broken.wait(PATIENCE_S)
            assert ending.wait(PATIENCE_S)
            raise CollectorError("the connection was closed")
        return "3 rows"

    job = Job("long", "takes long", work, Every(3600.0), 0.05, break_off=broken.set)
    jobs = started(job, told=told)
    state = jobs.run("long")
    assert (state.last_result, state.failures) == (Result.OUT_OF_TIME, 1)
    assert "0.05 s" in state.last_error
    slow.clear()
    state = jobs.run("long")
    assert (state.last_result, state.last_text, state.runs) == (Result.DONE, "3 rows", 2)
    assert [(one.chore, bool(one.problem)) for one in told] == [("long", True), ("long", False)]


def test_no_job_runs_twice_at_once(started: Callable[..., Jobs]) -> None:
    begun, go_on, at_once = threading.Event(), threading.Event(), []

    def work(_: Ending) -> str:
        at_once.append(1)
        begun.set()
        assert go_on.wait(PATIENCE_S)
        at_once.pop()
        return ""

    jobs = started(Job("long", "takes long", work, Every(3600.0), 60.0))
    assert jobs.begin("long").runs == 0
    assert begun.wait(PATIENCE_S)
    assert jobs.state("long").running
    for ask in (jobs.begin, jobs.run):
        with pytest.raises(UserError, match="long runs already"):
            ask("long")
    with structlog.testing.capture_logs() as logs:
        jobs._run_scheduled("long")  # its time has come
    assert [one["event"] for one in logs] == ["job.still_running"]
    assert len(at_once) == 1
    go_on.set()
    jobs.stop()
    assert (jobs.state("long").runs, jobs.state("long").running) == (1, False)


def test_a_run_that_is_due_while_the_last_one_goes_on_is_told_in_the_log_only(
    started: Callable[..., Jobs], capsys: pytest.CaptureFixture[str]
) -> None:
    told = threading.Event()

    def note(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if event["event"] == "job.still_running":
            told.set()
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[note])
    try:
        jobs = started(Job("long", "takes long", lambda ending: str(ending.wait(60)), Every(0.02), 60.0))
        assert told.wait(PATIENCE_S)
        jobs.stop()
    finally:
        structlog.configure(**before)
    assert "apscheduler" not in capsys.readouterr().err.lower()


def test_jobs_of_one_turn_wait_for_each_other_and_time_counts_from_their_turn(
    started: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WATCH_S", 0.02)
    go_on, order = threading.Event(), []
    first = Job("first", "", lambda _: order.append("first") or str(go_on.wait(60)), Every(3600.0), 60.0, "t")
    second = Job("second", "", lambda _: order.append("second") or "", Every(3600.0), 0.01, "t")
    jobs = started(first, second)
    jobs.begin("first")
    jobs.begin("second")
    with pytest.raises(UserError, match="second runs already"):
        jobs.begin("second")
    go_on.set()
    jobs.stop()
    assert order in (["first"], ["first", "second"], ["second", "first"])
    assert jobs.state("second").last_result != Result.OUT_OF_TIME


def test_a_name_that_no_job_has_is_refused_with_those_there_are(started: Callable[..., Jobs]) -> None:
    jobs = started(counting(3600.0)[0])
    for ask in (jobs.begin, jobs.run, jobs.state):
        with pytest.raises(UserError, match="no job 'vacuum'; expected one of mark"):
            ask("vacuum")


def test_a_run_that_does_not_end_holds_a_stop_up_no_longer_than_it_may(
    started: Callable[..., Jobs],
) -> None:
    go_on, begun = threading.Event(), threading.Event()

    def deaf(_: Ending) -> str:
        begun.set()
        return str(go_on.wait(PATIENCE_S))

    jobs = started(Job("deaf", "hears nothing", deaf, Every(3600.0), 60.0))
    jobs.begin("deaf")
    assert begun.wait(PATIENCE_S)
    with structlog.testing.capture_logs() as logs:
        jobs.stop(0.2)
    assert [(one["event"], one["jobs"]) for one in logs] == [("job.not_ended", ["deaf"])]
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPool"):
            thread.join(PATIENCE_S)
