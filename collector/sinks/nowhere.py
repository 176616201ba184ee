"""Store nothing, for who only listens: every write set is taken, and gone."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from collector.events import StreamKey
from collector.sinks.contract import Capabilities, Receipt, Rows, SessionState, WriteSet


class Nowhere:
    """A store that keeps nothing and makes no file. It never fails, so that nothing ever waits for it."""

    name = "nowhere"
    file: Path | None = None
    capabilities = Capabilities(transactions=True, idempotent=True)
    identity = "nowhere"

    def open(self) -> None:
        """Prepare nothing."""

    def write(self, write_set: WriteSet) -> Receipt:  # noqa: ARG002  (it is dropped)
        """Drop a write set."""
        return Receipt()

    def refuses(self, rows: Rows) -> str | None:  # noqa: ARG002
        """Refuse none."""
        return None

    def abort(self) -> None:
        """Interrupt nothing: no call takes time."""

    def close(self) -> None:
        """Release nothing."""

    def knows(self, sessions: Collection[str]) -> bool:  # noqa: ARG002
        """Know no session."""
        return False

    def claim(self, session: SessionState, streams: Iterable[StreamKey]) -> int:  # noqa: ARG002
        """Reserve the streams for nobody: others may listen to them too."""
        return len(list(streams))

    def maintain(self, task: Callable[[object], int]) -> int:  # noqa: ARG002
        """Leave the task undone: there is nothing to maintain."""
        return 0
