"""Publish that a thread of the collector died: what it did is not done any more."""

import time
from typing import Protocol

from collector.errors import UserError
from collector.events import EventBus, State, SystemState
from collector.network import mistake_in_words


class Worker(Protocol):
    """A thread, as seen from here."""

    failure: BaseException | None  # what ended it, if nobody asked it to end


class DeadThreads:
    """Remembers which were told of. Called by whichever thread has ended."""

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._told: set[str] = set()

    def look(self, **workers: Worker) -> None:
        """Publish each thread, by its name, that a failure has ended: once."""
        for name, worker in workers.items():
            if worker.failure is not None and name not in self._told:
                self._told.add(name)
                why = worker.failure
                words = str(why) if isinstance(why, UserError) else mistake_in_words(why)
                self._events.publish(SystemState("", name, State.ERROR, time.time_ns(), words))
