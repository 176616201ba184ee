"""Deliver events to one handler in a thread of its own, so that a slow one delays nobody."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

LAST_CALL_S = 0.5  # what a handler gets to return in, once what waited for it was dropped


@dataclass(frozen=True, slots=True)
class HandlerFailure:
    """A handler raised."""

    subscriber: str
    event: object
    error: Exception
    count: int  # how often this handler has, this time included


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the events for one subscriber: published = handled + failed + dropped + waiting."""

    subscriber: str
    handled: int
    failed: int
    dropped: int
    waiting: int


class Alarm(Protocol):
    """Work that a handler's thread does when it is due, whether or not events come."""

    def due_in_s(self) -> float | None:
        """Return the time until it is due; None: not before the next event."""

    def ring(self) -> None:
        """Do what is due."""


class Subscriber:
    """One handler, its bounded queue and, while the bus runs, its thread."""

    def __init__(
        self,
        name: str,
        handler: Callable[[Any], None],
        most_waiting: int,
        on_failure: Callable[[HandlerFailure], None],
        alarm: Alarm | None = None,
    ) -> None:
        self.name = name
        self._handler = handler
        self._most_waiting = most_waiting
        self._on_failure = on_failure
        self._alarm = alarm
        self._lock = threading.Lock()  # held by those who publish; the handler's thread never takes it
        # Guarded by _lock: _queue, _dropped, _open.
        self._queue: SimpleQueue[object] = SimpleQueue()
        self._dropped = 0
        self._open = True
        self._handled = 0  # written by the handler's thread alone, like _failed
        self._failed = 0
        self._thread: threading.Thread | None = None

    def put(self, event: object) -> None:
        """Queue an event; the oldest one goes when there is no room. Never waits for the handler."""
        with self._lock:
            if not self._open:
                return
            if self._queue.qsize() >= self._most_waiting:
                with suppress(Empty):  # when the handler's thread takes it at this very moment
                    self._queue.get_nowait()
                    self._dropped += 1
            self._queue.put(event)

    def start(self) -> None:
        """Begin to call the handler. Does nothing while it is called already."""
        if self._thread is None:
            self._open = True
            name = f"events {self.name}"
            self._thread = threading.Thread(target=self._run, args=(self._queue,), name=name, daemon=True)
            self._thread.start()

    def stop(self, until_s: float) -> bool:
        """Deliver what is queued, then end the thread; False when the handler did not return in time.

        `until_s` is of the monotonic clock; what still waits then is dropped. Called by the handler itself it
        returns at once: the thread ends after it.
        """
        thread, queue = self._close()
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(max(0.0, until_s - time.monotonic()))
        if thread.is_alive():
            self._drop_all(queue)
            thread.join(LAST_CALL_S)
        return not thread.is_alive()

    def delivery(self) -> Delivery:
        """Count what became of the events so far."""
        with self._lock:
            waiting = self._queue.qsize()
            return Delivery(self.name, self._handled, self._failed, self._dropped, waiting)

    def _close(self) -> "tuple[threading.Thread | None, SimpleQueue[object]]":
        with self._lock:
            thread, self._thread = self._thread, None
            queue = self._queue
            if thread is not None:
                self._open = False
                self._queue = SimpleQueue()
                queue.put(_END)
            return thread, queue

    def _drop_all(self, queue: "SimpleQueue[object]") -> None:
        """Drop what is queued, so that the thread ends after its present call."""
        dropped = 0
        with suppress(Empty):
            while queue.get_nowait() is not _END:
                dropped += 1
        queue.put(_END)
        with self._lock:
            self._dropped += dropped

    def _run(self, queue: "SimpleQueue[object]") -> None:
        _here.in_a_handler = True
        while True:
            try:
                event = queue.get(timeout=self._alarm.due_in_s() if self._alarm else None)
            except Empty:
                event = _RINGS
            if event is _END:
                return
            self._handle(event)

    def _handle(self, event: object) -> None:
        try:
            if event is _RINGS and self._alarm is not None:
                self._alarm.ring()
                return
            self._handler(event)
        except Exception as error:  # noqa: BLE001  (whatever a subscriber raises is its own affair)
            self._failed += 1
            self._on_failure(HandlerFailure(self.name, event, error, self._failed))
        else:
            self._handled += 1


def in_a_handler() -> bool:
    """Return whether the present thread is one that calls a handler."""
    return getattr(_here, "in_a_handler", False)


_here = threading.local()
_END = object()
_RINGS = object()
