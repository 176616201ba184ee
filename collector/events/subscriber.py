"""Deliver events to one handler in a thread of its own, so that a slow one delays nobody."""

import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from collector.events.coroutines import Coroutines, Loop, is_async, running_loop

LAST_CALL_S = 0.5  # what a handler gets to return in, once what waited for it was dropped


@dataclass(frozen=True, slots=True)
class HandlerFailure:
    """A handler raised."""

    subscriber: str
    event: object
    error: BaseException
    count: int  # how often this handler has, this time included


@dataclass(frozen=True, slots=True)
class HandlerLate:
    """A handler has not returned for long (`for_s` is above 0), or loses events because it is slow."""

    subscriber: str
    for_s: float
    waiting: int
    dropped: int  # so far


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the events for one subscriber: published = handled + failed + dropped + waiting."""

    subscriber: str
    handled: int
    failed: int
    dropped: int
    waiting: int
    busy_s: float = 0.0  # how long the call under way has taken; that event is in none of the counts
    asked_to_exit: int = 0  # of those that failed, how many raised SystemExit


class Alarm(Protocol):
    """Work that a handler's thread does when it is due, whether or not events come."""

    def due_in_s(self) -> float | None:
        """Return the time until it is due; None: not before the next event."""

    def ring(self) -> None:
        """Do what is due."""


class Subscriber:
    """One handler, its bounded queue and, while the bus runs, its thread.

    What an `async def` handler returns is run to its end before the next event is handed over, so that order
    and counts are those of any other handler.
    """

    def __init__(
        self,
        name: str,
        handler: Callable[[Any], object],
        most_waiting: int,
        on_failure: Callable[[HandlerFailure], None],
        alarm: Alarm | None = None,
        loop: Loop | None = None,
    ) -> None:
        self.name = name
        self._handler = handler
        self._most_waiting = most_waiting
        self._on_failure = on_failure
        self._alarm = alarm
        self._is_async = is_async(handler)
        self._has_its_loop = loop is not None
        self._coroutines = Coroutines(f"events {name}", running_loop() if loop is None else loop)
        self._lock = threading.Lock()  # held by those who publish; the handler's thread never takes it
        # Guarded by _lock: _queue, _dropped, _open.
        self._queue: SimpleQueue[object] = SimpleQueue()
        self._dropped = 0
        self._open = True
        self._handled = 0  # written by the handler's thread alone, like the following
        self._failed = 0
        self._asked_to_exit = 0
        self._began_s: float | None = None  # of the call under way
        self._thread: threading.Thread | None = None

    def use_loop(self, loop: Loop) -> None:
        """Run coroutines on the caller's loop, where none was given to this handler and none of its runs."""
        own = self._coroutines.loop
        if not self._has_its_loop and (own is None or not own.is_running()):
            self._coroutines.loop = loop

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

        `until_s` is of the monotonic clock; what still waits then is dropped, and a coroutine under way is
        cancelled. Called by the handler itself, or in the loop that runs it, it returns at once: the thread
        ends after it.
        """
        thread, queue = self._close()
        if thread is None or _current.get() is self or self._would_block():
            return True
        thread.join(max(0.0, until_s - time.monotonic()))
        if thread.is_alive():
            self._drop_all(queue)
            self._coroutines.cancel()
            thread.join(LAST_CALL_S)
        return not thread.is_alive()

    def delivery(self) -> Delivery:
        """Count what became of the events so far."""
        began_s = self._began_s
        with self._lock:
            waiting = self._queue.qsize()
            return Delivery(
                self.name,
                self._handled,
                self._failed,
                self._dropped,
                waiting,
                0.0 if began_s is None else time.monotonic() - began_s,
                self._asked_to_exit,
            )

    def finish(self, awaitable: Awaitable[object], loop: Loop | None = None) -> None:
        """Run what an `async def` returned to its end. Call it in the handler's thread."""
        self._coroutines.finish(awaitable, loop)

    def tell(self, name: str, event: object, error: BaseException, count: int) -> None:
        """Tell that something which the handler calls has raised."""
        self._on_failure(HandlerFailure(name, event, error, count))

    def _would_block(self) -> bool:
        """Return whether to wait here would keep the handler's coroutine from running."""
        own = self._coroutines.loop
        return self._is_async and own is not None and own is running_loop()

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
        _current.set(self)  # tasks and threads that a coroutine begins inherit it
        try:
            while True:
                try:
                    event = queue.get(timeout=self._alarm.due_in_s() if self._alarm else None)
                except Empty:
                    event = _RINGS
                if event is _END:
                    return
                self._handle(event)
        finally:
            self._coroutines.close()

    def _handle(self, event: object) -> None:
        self._began_s = time.monotonic()
        try:
            if event is _RINGS and self._alarm is not None:
                self._alarm.ring()
                return
            result = self._handler(event)
            if inspect.isawaitable(result):
                self._is_async = True  # also a lambda that returns a coroutine
                self.finish(result)
        except BaseException as error:  # noqa: BLE001  (its own affair; and SystemExit would end this thread)
            self._failed += 1
            self._asked_to_exit += isinstance(error, SystemExit)
            self._on_failure(HandlerFailure(self.name, event, error, self._failed))
        else:
            self._handled += 1
        finally:
            self._began_s = None


def in_a_handler() -> bool:
    """Return whether the caller is a handler: its thread, or its coroutine."""
    return _current.get() is not None


def handler_here() -> Subscriber | None:
    """Return the subscriber whose handler calls this, if one does."""
    return _current.get()


_current: ContextVar[Subscriber | None] = ContextVar("subscriber", default=None)
_END = object()
_RINGS = object()
