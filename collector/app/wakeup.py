"""Wake a waiting thread, also from within a signal handler.

`threading.Event.set` takes a lock that the interrupted thread may hold in `wait`: the handler would then
wait for ever. `SimpleQueue.put` is reentrant.
"""

from queue import Empty, SimpleQueue


class SignalSafeEvent:
    """An event that a signal handler may set. Once set, it stays set."""

    def __init__(self) -> None:
        self._rung: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Set the event: end every wait, present and future."""
        self._rung.put(None)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the event is set; return False on timeout."""
        try:
            self._rung.get(timeout=timeout_s)
        except Empty:
            return False
        self._rung.put(None)  # for the next who waits
        return True
