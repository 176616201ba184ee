"""Do tasks one after the other, or several at a time in processes, each perhaps with a child that reads."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack, nullcontext
from multiprocessing import get_context
from multiprocessing.util import Finalize
from typing import Any, TypeVar

from collector.log import LogOptions, set_up_logging
from collector.query import Reader, started

WORKERS_LOG = LogOptions(level="warning")  # else they print all of it among what the caller prints

Task = TypeVar("Task")
Result = TypeVar("Result")
Work = Callable[[Task, Reader | None], Result]

_reader: Reader | None = None  # of a process of the pool, from one of its tasks to the next


def done_by(
    work: Work[Task, Result], tasks: Sequence[Task], jobs: int, read_by_child: str | None
) -> Iterator[Result]:
    """Yield the result of each task, as it is done; `read_by_child` is the database that children read."""
    if jobs <= 1 or len(tasks) <= 1:
        with started(read_by_child) if tasks and read_by_child else nullcontext() as reader:
            for task in tasks:
                yield work(task, reader)
        return
    with ProcessPoolExecutor(
        min(jobs, len(tasks)), get_context("spawn"), _set_up_worker, (read_by_child,)
    ) as pool:
        waiting: list[Future[Result]] = [pool.submit(_in_worker, work, task) for task in tasks]
        for one in as_completed(waiting):
            yield one.result()


def _set_up_worker(read_by_child: str | None) -> None:
    global _reader  # noqa: PLW0603  (a process of the pool has no other place between two tasks)
    set_up_logging(WORKERS_LOG)
    if read_by_child is not None:
        kept = ExitStack()
        _reader = kept.enter_context(started(read_by_child))
        Finalize(None, kept.close, exitpriority=1)


def _in_worker(work: Work[Any, Result], task: Any) -> Result:
    return work(task, _reader)
