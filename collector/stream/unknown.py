"""Count the frames that cannot be mapped to a stream."""

from collections.abc import Callable

from collector.buffer.buffer import Buffer
from collector.events.batch import UNKNOWN, StreamKey


class UnknownFrames:
    """Frames of one exchange that are nobody's: one event each, rejected under its reason."""

    def __init__(
        self, exchange: str, buffer: Buffer, on_first: Callable[[str, str, str], None] | None = None
    ) -> None:
        self._buffer = buffer
        self._number = buffer.register(StreamKey(exchange, UNKNOWN, UNKNOWN))
        self._on_first = on_first
        self._seen: set[str] = set()
        self.received = 0

    def count(self, reason: str, detail: str, text: str) -> None:
        """Count a frame; the first of each reason is shown to whoever listens."""
        self.received += 1
        self._buffer.count_rejected(self._number, self.received, reason)
        if reason not in self._seen and self._on_first is not None:
            self._seen.add(reason)
            self._on_first(reason, detail, text[:200])
