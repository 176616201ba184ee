"""Hold a commit of a collector while others go on: its rows have their ids, and nobody sees them yet."""

import threading
from types import TracebackType

from one_collector import Collector

PATIENCE_S = 60.0


class HeldCommit:
    """A block in which a commit is under way; it ends with the block."""

    def __init__(self, one: Collector) -> None:
        self._collector = one
        self._reached, self._released = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="commit", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> None:
        self._collector.sink.at_commit = self._hold
        self._thread.start()
        assert self._reached.wait(PATIENCE_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._thread.join(PATIENCE_S)
        self._collector.sink.at_commit = None
        assert not self._thread.is_alive()
        if self._failure is not None and error is None:
            raise self._failure

    def _hold(self) -> None:
        self._reached.set()
        assert self._released.wait(PATIENCE_S)

    def _deliver(self) -> None:
        try:
            self._collector.deliver(2)
        except BaseException as failure:  # noqa: BLE001  (raised where the block ends)
            self._failure = failure
        finally:
            self._reached.set()  # there was nothing to commit
