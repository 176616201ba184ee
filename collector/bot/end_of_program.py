"""Stop an ingestor that a program leaves running when it ends."""

import threading
from collections.abc import Callable

LOOK_EVERY_S = 0.2


class EndOfProgram:
    """A thread that calls `then` once the main thread and all threads that the program waits for have ended.

    It is no daemon, so the interpreter waits for it; `atexit` would be too late to start threads.
    """

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then
        self._called_off = threading.Event()
        self._thread = threading.Thread(target=self._run, name=NAME)
        self._thread.start()

    def call_off(self) -> None:
        """End the thread: the ingestor was stopped."""
        self._called_off.set()
        if self._thread is not threading.current_thread():
            self._thread.join(LOOK_EVERY_S)  # not for ever: it may wait for whoever calls this

    def _run(self) -> None:
        while not self._called_off.wait(LOOK_EVERY_S):
            if not threading.main_thread().is_alive() and not _others():
                self._then()
                return


def _others() -> bool:
    """Return whether the program still waits for another thread."""
    return any(not one.daemon and one.name != NAME and one.is_alive() for one in threading.enumerate())


NAME = "end of program"
