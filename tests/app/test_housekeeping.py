"""The scheduler hands slices to the writer, one at a time, and never outlives it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
import time_machine

from collector.app.housekeeping import Housekeeping, make_housekeeping
from collector.errors import CollectorError
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


def test_a_chore_is_done_slice_by_slice_in_the_writer_s_thread(writer: TaskQueue) -> None:
    keeping, seen = Housekeeping(writer.submit, every_s=3600), []
    keeping.add("three", slices(3, seen))
    assert keeping.run("three") == 6
    assert len(seen) == 3
    assert threading.current_thread().name not in seen


def test_chores_are_done_by_the_scheduler_so_often(writer: TaskQueue) -> None:
    keeping, done, names = Housekeeping(writer.submit, every_s=0.05), threading.Semaphore(0), []
    keeping.add("count", lambda: iter([lambda _: done.release() or 1]))
    keeping.add("name", slices(1, names))
    keeping.start()
    for _ in range(3):
        assert done.acquire(timeout=PATIENCE_S)
    keeping.stop()
    keeping.stop()
    assert names
    assert not [one for one in threading.enumerate() if one.name.startswith(("APScheduler", "ThreadPool"))]


def test_what_a_slice_raises_ends_the_chore_until_next_time(writer: TaskQueue) -> None:
    keeping, tries = Housekeeping(writer.submit, every_s=3600), []

    def refuse(_: object) -> int:
        tries.append(1)
        raise CollectorError("the database is locked")

    keeping.add("refused", lambda: iter([refuse, refuse]))
    assert keeping.run("refused") == 0
    assert keeping.run("refused") == 0
    assert len(tries) == 2


def test_stopping_begins_no_slice_any_more() -> None:
    asked: list[Slice] = []

    def submit(one: Slice) -> Future[int]:
        asked.append(one)
        keeping.ask_to_stop()
        future: Future[int] = Future()
        future.cancel()
        return future

    keeping = Housekeeping(submit, every_s=3600)
    keeping.add("long", slices(5, []))
    assert keeping.run("long") == 0
    assert len(asked) == 1


def test_after_the_clock_was_put_back_chores_go_on(writer: TaskQueue) -> None:
    done = threading.Event()
    keeping = Housekeeping(writer.submit, every_s=0.2)
    keeping.add("mark", lambda: iter([lambda _: done.set() or 1]))
    with time_machine.travel("2030-01-01T00:00:00Z") as traveller:
        keeping.start()
        assert done.wait(PATIENCE_S)
        traveller.move_to("2029-12-31T23:00:00Z")
        done.clear()
        keeping.clock_stepped()
        assert done.wait(PATIENCE_S)
        keeping.stop()


@pytest.mark.parametrize(("url", "tidies"), [("./live.db", True), ("postgresql://h/db", False)])
def test_only_an_sqlite_file_is_tidied(url: str, tidies: bool) -> None:
    keeping = make_housekeeping(
        url, "t", "own", lambda _: Future(), upkeep=UpkeepOptions(), retention=RetentionOptions()
    )
    assert ("tidy" in keeping._chores) == tidies
    assert {"batches", "events", "rejected"} <= keeping._chores.keys()


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
    assert ("archive" in keeping._chores) == (days is not None)
    assert all(map(callable, keeping._chores.values()))
