"""Chores hand slices to the writer, one at a time, and the scheduler never outlives it."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from collector.app.housekeeping import Housekeeping, make_housekeeping
from collector.app.jobs.jobs import Jobs
from collector.errors import CollectorError, DatabaseInUse, MissingExtra
from collector.events import ChoreState
from collector.log.options import LogOptions
from collector.log.output import set_up_logging
from collector.query import database as extras
from collector.retention.options import RetentionOptions
from collector.sinks.options import UpkeepOptions
from collector.sinks.sql.upkeep import Slice
from collector.writer.tasks import TaskQueue

PATIENCE_S = 30.0


@pytest.fixture
def writer() -> Iterator[TaskQueue]:
    """Run a thread that does what it is asked for, as the writer does."""
    tasks, ending = TaskQueue(), threading.Event()

    def work() -> None:
        while not ending.wait(0.005):
            tasks.do_one(lambda task: task(None))

    thread = threading.Thread(target=work)
    thread.start()
    yield tasks
    ending.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def slices(count: int, seen: list[str]) -> Callable[[], Iterator[Slice]]:
    def chore() -> Iterator[Slice]:
        for _ in range(count):
            yield lambda _: seen.append(threading.current_thread().name) or 2

    return chore


def jobs_running(keeping: Housekeeping, told: list[ChoreState] | None = None) -> Jobs:
    return Jobs(keeping.jobs, publish=([] if told is None else told).append)


def keeping_one(writer: TaskQueue, chore: Callable[[], Iterator[Slice]], every_s: float = 3600) -> Jobs:
    keeping = Housekeeping(writer.submit, every_s=every_s)
    keeping.add("archive", "what it does", chore)
    return jobs_running(keeping)


def scheduler_threads() -> list[threading.Thread]:
    ours = ("APScheduler", "ThreadPool", "jobs-watch")
    return [one for one in threading.enumerate() if one.name.startswith(ours)]


def test_a_chore_is_done_slice_by_slice_in_the_writer_s_thread(writer: TaskQueue) -> None:
    seen: list[str] = []
    state = keeping_one(writer, slices(3, seen)).run("archive")
    assert (state.last_result, state.last_text) == ("done", "6 rows gone")
    assert len(seen) == 3
    assert threading.current_thread().name not in seen


def test_chores_are_done_by_the_scheduler_so_often(writer: TaskQueue) -> None:
    keeping, done, names = Housekeeping(writer.submit, every_s=0.05), threading.Semaphore(0), []
    keeping.add("count", "counts", lambda: iter([lambda _: done.release() or 1]))
    keeping.add("name", "names", slices(1, names))
    jobs = jobs_running(keeping)
    jobs.start()
    for _ in range(3):
        assert done.acquire(timeout=PATIENCE_S)
    jobs.stop()
    jobs.stop()
    assert names
    assert not scheduler_threads()


def test_what_a_slice_raises_ends_the_chore_until_next_time(writer: TaskQueue) -> None:
    tries = []

    def refuse(_: object) -> int:
        tries.append(1)
        raise CollectorError("the database is locked")

    jobs = keeping_one(writer, lambda: iter([refuse, refuse]))
    assert [jobs.run("archive").last_result for _ in range(2)] == ["failed"] * 2
    assert len(tries) == 2


FAULTS = (OSError(28, "No space left on device"), ValueError("no date"), IndexError("none"), TimeoutError())


@pytest.mark.parametrize("fault", [*FAULTS, CollectorError("away")], ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("where", ["between slices", "in a slice"])
def test_every_failure_is_in_the_log_and_an_event_until_it_is_over(
    writer: TaskQueue, fault: Exception, where: str
) -> None:
    told: list[ChoreState] = []
    failing = [True, True, False, False]

    def fail(_: object = None) -> int:
        raise fault

    def chore() -> Iterator[Slice]:
        if failing.pop(0):
            yield fail if where == "in a slice" else fail()
        yield lambda _: 1

    keeping = Housekeeping(writer.submit, every_s=3600)
    keeping.add("archive", "what it does", chore)
    jobs = jobs_running(keeping, told)
    with capture_logs() as logs:
        results = [jobs.run("archive").last_result for _ in range(4)]
    assert results == ["failed", "failed", "done", "done"]
    words = str(fault) or type(fault).__name__
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["job.failed"] * 2
    assert words in logs[0]["error"]
    assert [(one.chore, words in one.problem) for one in told[:2]] == [("archive", True)] * 2
    assert told[2:] == [ChoreState("archive", told[2].at_ns)]
    state = jobs.state("archive")
    assert (state.runs, state.failures, state.last_result) == (4, 2, "done")
    assert words in state.last_error


def test_a_failure_is_one_masked_line_of_json(writer: TaskQueue) -> None:
    stream = io.StringIO()
    before = structlog.get_config()
    set_up_logging(LogOptions(format="json"), stream, secrets=["s3cret"])

    def refuse(_: object) -> int:
        raise OSError("cannot reach postgresql://me:s3cret@host/db")

    try:
        keeping_one(writer, lambda: iter([refuse])).run("archive")
    finally:
        structlog.configure(**before)
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "job.failed"
    assert "Traceback" in json.loads(line)["exception"]
    assert "s3cret" not in line


def test_what_another_process_does_is_no_failure(writer: TaskQueue) -> None:
    def chore() -> Iterator[Slice]:
        raise DatabaseInUse("moved already by another")
        yield

    told: list[ChoreState] = []
    keeping = Housekeeping(writer.submit, every_s=3600)
    keeping.add("archive", "what it does", chore)
    with capture_logs() as logs:
        assert jobs_running(keeping, told).run("archive").last_result == "left_to_another"
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("job.left_to_another", "info")]
    assert told == []


def test_a_stop_breaks_off_what_is_done_between_slices(writer: TaskQueue) -> None:
    begun, asked = threading.Event(), threading.Event()
    keeping = Housekeeping(writer.submit, every_s=0.01)

    def long_work() -> Iterator[Slice]:
        begun.set()
        if not asked.wait(PATIENCE_S):
            raise AssertionError("nobody asked")
        raise CollectorError("broken off")
        yield

    keeping.add("archive", "what it does", long_work, break_off=asked.set)
    jobs = jobs_running(keeping)
    jobs.start()
    assert begun.wait(PATIENCE_S)
    with capture_logs() as logs:
        jobs.stop()
    assert asked.is_set()
    assert jobs.state("archive").last_result == "stopped"
    assert not [entry for entry in logs if entry["log_level"] == "error"]
    assert not scheduler_threads()


def test_a_stop_does_not_wait_for_a_slice_that_the_writer_does_not_do() -> None:
    given: Future[int] = Future()
    given.set_running_or_notify_cancel()
    submitted = threading.Event()

    def submit(_: Slice) -> Future[int]:
        submitted.set()
        return given

    keeping = Housekeeping(submit, every_s=0.01)
    keeping.add("long", "takes long", slices(5, []))
    jobs = jobs_running(keeping)
    jobs.start()
    assert submitted.wait(PATIENCE_S)
    jobs.stop()
    assert not given.done()


def test_stopping_begins_no_slice_any_more() -> None:
    asked: list[Slice] = []

    def submit(one: Slice) -> Future[int]:
        asked.append(one)
        jobs.ask_to_stop()
        future: Future[int] = Future()
        future.set_result(1)
        return future

    keeping = Housekeeping(submit, every_s=3600)
    keeping.add("long", "takes long", slices(5, []))
    jobs = jobs_running(keeping)
    assert jobs.run("long").last_result == "stopped"
    assert len(asked) == 1


def names_of(keeping: Housekeeping) -> set[str]:
    return {job.name for job in keeping.jobs}


@pytest.mark.parametrize(("url", "tidies"), [("./live.db", True), ("postgresql://h/db", False)])
def test_only_an_sqlite_file_is_tidied(url: str, tidies: bool) -> None:
    keeping = make_housekeeping(
        url, "t", "own", lambda _: Future(), upkeep=UpkeepOptions(), retention=RetentionOptions()
    )
    assert ("tidy" in names_of(keeping)) == tidies
    assert {"batches", "events", "rejected"} <= names_of(keeping)


@pytest.mark.parametrize("days", [None, 7.0])
def test_old_rows_are_moved_only_where_retention_is_set(days: float | None) -> None:
    keeping = make_housekeeping(
        "./live.db",
        "t",
        "own",
        lambda _: Future(),
        upkeep=UpkeepOptions(),
        retention=RetentionOptions(days=days),
    )
    assert ("archive" in names_of(keeping)) == (days is not None)


def test_retention_without_what_writes_files_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(extras, "import_module", missing)
    options = {"upkeep": UpkeepOptions(), "retention": RetentionOptions(days=7.0)}
    with pytest.raises(MissingExtra, match=r"pip install -e '\.\[parquet\]'"):
        make_housekeeping("./live.db", "t", "own", lambda _: Future(), **options)


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    kept = []
    monkeypatch.setattr(
        "collector.retention.archive_slices", lambda _url, _table, how, **_: kept.append(how) or iter(())
    )
    retention = RetentionOptions(days=7.0, path="~/archive")
    keeping = make_housekeeping(
        "./live.db", "t", "own", lambda _: Future(), upkeep=UpkeepOptions(), retention=retention
    )
    jobs_running(keeping).run("archive")
    assert [one.folder for one in kept] == [tmp_path / "archive"]
