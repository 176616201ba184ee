"""Wake a waiting thread, also from within a signal handler.

`threading.Event.set` takes a lock that the very thread which the handler interrupts may hold in `wait`: it
would wait for itself for ever. `SimpleQueue.put` is reentrant.
"""

from queue import Empty, SimpleQueue


class SignalSafeEvent:
    """Rung once, it stays rung."""

    def __init__(self) -> None:
        self._rung: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """End every wait, now and from now on."""
        self._rung.put(None)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is rung; False when the time is over first."""
        try:
            self._rung.get(timeout=timeout_s)
        except Empty:
            return False
        self._rung.put(None)  # for the next who waits
        return True
