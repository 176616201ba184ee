"""Keep the work that a connection does beside its serve loop: at most one piece of it a topic."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


class UnderWay:
    """Tasks by the topics that they are about. Lives in the websocket thread's loop."""

    def __init__(self, wake: asyncio.Event) -> None:
        self._wake = wake  # set when one ends
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failure: BaseException | None = None

    def __contains__(self, topic: str) -> bool:
        """Return whether something about a topic is under way."""
        return topic in self._tasks

    def __len__(self) -> int:
        """Return for how many topics something is under way."""
        return len(self._tasks)

    def start(self, topics: Iterable[str], work: Coroutine[Any, Any, None]) -> None:
        """Begin work about these topics, of which none is under way."""
        task = asyncio.create_task(work)
        for topic in topics:
            self._tasks[topic] = task
        task.add_done_callback(self._ended)

    def cancel(self, topic: str) -> None:
        """Cancel what is under way about a topic; other work may begin at once."""
        task = self._tasks.get(topic)
        if task is not None:
            self._forget(task)
            task.cancel()

    def cancel_all(self) -> None:
        """Cancel everything: what it was about is gone."""
        for topic in list(self._tasks):
            self.cancel(topic)
        self._failure = None

    def raise_failure(self) -> None:
        """Raise what ended one of the tasks, if anything did."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _ended(self, task: "asyncio.Task[None]") -> None:
        was_wanted = task in self._tasks.values()
        self._forget(task)
        if not task.cancelled() and (failure := task.exception()) is not None and was_wanted:
            self._failure = self._failure or failure
        self._wake.set()

    def _forget(self, task: "asyncio.Task[None]") -> None:
        for topic in [topic for topic, one in self._tasks.items() if one is task]:
            del self._tasks[topic]
