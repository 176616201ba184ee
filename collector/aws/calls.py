"""Make calls that another thread can break off, whatever they hang in: a name, credentials, a socket."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from collector.aws.failures import AwsError, Failure, failure_of
from collector.errors import UserError

Result = TypeVar("Result")

CLOSING_S = 0.5  # for a call that was broken off to come to its end


class _Call(Generic[Result]):
    """A call, and what came of it."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._found: list[Result] = []
        self._error: Exception | None = None
        self.is_wanted = True
        self.is_over = False
        self.settled = threading.Event()  # over, or nobody waits for it any more

    def make(self) -> None:
        try:
            if self.is_wanted:
                self._found.append(self._work())
        except Exception as error:  # noqa: BLE001  (raised where the result is asked for)
            self._error = error
        self.is_over = True
        self.settled.set()

    def result(self) -> Result:
        if isinstance(self._error, UserError):
            raise self._error
        if self._error is not None:
            raise failure_of(self._error) from self._error
        return self._found[0]


class Calls:
    """One thread that makes one call after the other, for one caller, who need not wait for their end.

    A call that was broken off goes on until its socket's timeout, and what it asked for may still be done.
    The next one is made when it is over: two never overlap, and what is sent keeps its order.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: SimpleQueue[_Call[Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._broken_off = threading.Event()
        self._lock = threading.Lock()
        self._current: _Call[Any] | None = None  # guarded by _lock

    def begin(self) -> None:
        """Let calls be made again after `break_off`. For the caller's thread."""
        self._broken_off.clear()

    def make(self, work: Callable[[], Result]) -> Result:
        """Make a call and return its result. Raises AwsError, also when it is broken off."""
        call = _Call(work)
        with self._lock:
            if self._broken_off.is_set():
                raise _interrupted()
            self._current = call
        if self._thread is None:
            self._thread = threading.Thread(
                target=_make_all, args=(self._waiting,), name=self._name, daemon=True
            )
            self._thread.start()
        self._waiting.put(call)
        call.settled.wait()
        with self._lock:
            self._current = None
        if not call.is_over:
            call.is_wanted = False
            raise _interrupted()
        return call.result()

    def wait(self, seconds: float) -> None:
        """Wait between two calls. Raises AwsError when that is broken off."""
        if self._broken_off.wait(seconds):
            raise _interrupted()

    def break_off(self) -> None:
        """End the wait for the call in progress, and for those after it until `begin`. For any thread."""
        with self._lock:
            self._broken_off.set()
            if self._current is not None:
                self._current.settled.set()

    def close(self, last: Callable[[], None]) -> None:
        """Do a last thing when all calls are over, and end the thread. Does not wait long for it."""
        thread, self._thread = self._thread, None
        waiting, self._waiting = self._waiting, SimpleQueue()
        if thread is None:
            last()
            return
        waiting.put(_Call(last))
        waiting.put(None)
        thread.join(CLOSING_S)


def _make_all(waiting: SimpleQueue[_Call[Any] | None]) -> None:
    while (call := waiting.get()) is not None:
        call.make()


def _interrupted() -> AwsError:
    return AwsError(Failure.AWAY, "no answer in time: the call was broken off")
