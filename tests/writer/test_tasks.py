import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest

from collector.errors import CollectorError
from collector.writer.tasks import MOST_WAITING, TaskQueue

Run = Callable[[Callable[[Any], int]], int]


def run(task: Callable[[Any], int]) -> int:
    return task("connection")


def test_work_is_done_in_order_one_a_step_and_its_outcome_told() -> None:
    tasks, seen = TaskQueue(), []
    futures = [tasks.submit(lambda connection, n=n: seen.append((n, connection)) or n) for n in range(3)]
    assert seen == []
    assert tasks.do_one(run)
    assert seen == [(0, "connection")]
    while tasks.do_one(run):
        pass
    assert [future.result(0) for future in futures] == [0, 1, 2]


def test_what_work_raises_is_the_asker_s() -> None:
    tasks = TaskQueue()
    future = tasks.submit(lambda _: int("x"))
    assert tasks.do_one(run)
    with pytest.raises(ValueError, match="invalid literal"):
        future.result(0)


def test_too_much_work_is_refused() -> None:
    tasks = TaskQueue()
    taken = [tasks.submit(lambda _: 1) for _ in range(MOST_WAITING)]
    with pytest.raises(CollectorError, match="no more work"):
        tasks.submit(lambda _: 1).result(0)
    assert not any(future.done() for future in taken)


def test_at_the_end_whoever_waits_is_told() -> None:
    tasks = TaskQueue()
    future = tasks.submit(lambda _: 1)
    outcome: list[type[BaseException]] = []

    def wait() -> None:
        with pytest.raises(CancelledError):
            future.result(30)
        outcome.append(CancelledError)

    waiting = threading.Thread(target=wait)
    waiting.start()
    tasks.close()
    waiting.join(30)
    assert outcome == [CancelledError]
    with pytest.raises(CollectorError):
        tasks.submit(lambda _: 1).result(0)
    assert not tasks.do_one(run)
