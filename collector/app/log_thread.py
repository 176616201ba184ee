"""Run what has to look now and then whether there is something to log."""

import threading
from collections.abc import Callable, Sequence

from collector.loggers import get_logger

LOOK_EVERY_S = 0.5
STOP_WITHIN_S = 2.0

log = get_logger(__name__)


class LogThread:
    """A thread that looks every half second. Nothing waits for it."""

    def __init__(self, looks: Sequence[Callable[[], None]], finishes: Sequence[Callable[[], None]]) -> None:
        self._looks = tuple(looks)
        self._finishes = tuple(finishes)
        self._stopping = threading.Event()
        self._failing: set[int] = set()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and log what was held back. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping.set()
            thread.join(STOP_WITHIN_S)
            for finish in self._finishes:
                finish()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            for number, look in enumerate(self._looks):
                try:
                    look()
                    self._failing.discard(number)
                except Exception:
                    if number not in self._failing:  # one line, however long it lasts
                        self._failing.add(number)
                        log.exception("log.look_failed")
