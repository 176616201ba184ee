"""Run small tasks in the thread that owns the store, between two writes."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from collector.errors import CollectorError

MOST_WAITING = 16

Task = Callable[[], int]  # returns a count


class TaskQueue:
    """Holds tasks until they are run. Submitted by any thread, run by the writer's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Guarded by _lock: all below.
        self._waiting: deque[tuple[Task, Future[int]]] = deque()
        self._is_closed = False

    def submit(self, task: Task) -> Future[int]:
        """Queue the task; the future gets its result, or what it raised."""
        future: Future[int] = Future()
        with self._lock:
            if not self._is_closed and len(self._waiting) < MOST_WAITING:
                self._waiting.append((task, future))
                return future
        future.set_exception(CollectorError("the writer takes no more work now"))
        return future

    def do_one(self, run: Callable[[Task], int] = lambda task: task()) -> bool:
        """Run the oldest task; False when there is none."""
        with self._lock:
            if not self._waiting:
                return False
            task, future = self._waiting.popleft()
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(run(task))
            except Exception as error:  # noqa: BLE001  (it belongs to the caller, who gets it)
                future.set_exception(error)
        return True

    def close(self) -> None:
        """Accept no more tasks, and cancel those that wait."""
        with self._lock:
            self._is_closed = True
            waiting, self._waiting = self._waiting, deque()
        for _, future in waiting:
            future.cancel()
