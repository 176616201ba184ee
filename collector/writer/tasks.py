"""Let others have small work done by the thread that owns the database, between two batches."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from collector.errors import CollectorError
from collector.sinks.contract import Task

MOST_WAITING = 16


class TaskQueue:
    """What waits to be done. Asked for by any thread, done by the writer's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Guarded by _lock: all below.
        self._waiting: deque[tuple[Task, Future[int]]] = deque()
        self._is_closed = False

    def submit(self, task: Task) -> Future[int]:
        """Have the task done soon; its outcome, or what it raised, comes by the future."""
        future: Future[int] = Future()
        with self._lock:
            if not self._is_closed and len(self._waiting) < MOST_WAITING:
                self._waiting.append((task, future))
                return future
        future.set_exception(CollectorError("the writer takes no more work now"))
        return future

    def do_one(self, run: Callable[[Task], int]) -> bool:
        """Do what waits longest; False when nothing does."""
        with self._lock:
            if not self._waiting:
                return False
            task, future = self._waiting.popleft()
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(run(task))
            except Exception as error:  # noqa: BLE001  (it is the asker's, who gets it)
                future.set_exception(error)
        return True

    def close(self) -> None:
        """Take no more work; whoever waits is told."""
        with self._lock:
            self._is_closed = True
            waiting, self._waiting = self._waiting, deque()
        for _, future in waiting:
            future.cancel()
