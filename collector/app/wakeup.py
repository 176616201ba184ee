"""Wake a waiting thread, also from within a signal handler.

`threading.Event.set` takes a lock that the interrupted thread may hold in `wait`: the handler would then
wait for ever. `SimpleQueue.put` is reentrant.
"""

import math
import time
from queue import Empty, SimpleQueue

SIGNALS_EVERY_S = 0.5  # a signal is heard so late at most


class SignalSafeEvent:
    """An event that a signal handler may set. Once set, it stays set."""

    def __init__(self) -> None:
        self._rung: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Set the event: end every wait, present and future."""
        self._rung.put(None)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the event is set; return False on timeout.

        The kernel may give a signal to another thread, which does not end the wait of this one: its handler
        runs when this one next does anything.
        """
        until_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = until_s - time.monotonic()
            try:
                self._rung.get(timeout=max(0.0, min(left_s, SIGNALS_EVERY_S)))
            except Empty:
                if left_s <= SIGNALS_EVERY_S:
                    return False
            else:
                self._rung.put(None)  # for the next who waits
                return True
