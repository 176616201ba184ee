"""Name the streams, their segments, and how each event was settled."""

from dataclasses import dataclass, field
from typing import NamedTuple

UNKNOWN = "_unknown"  # frames that cannot be mapped to a stream are counted under this name


class StreamKey(NamedTuple):
    """A stream: one channel of one market of one exchange."""

    exchange: str
    symbol: str
    channel: str


@dataclass(slots=True)
class Liveness:
    """When a connection was last heard of. Written by the websocket thread, read at a swap."""

    heard_ns: int = 0


@dataclass(frozen=True, slots=True)
class SegmentOpened:
    """A book became verified."""

    segment_id: int
    stream: int
    start_ns: int
    verification: str
    liveness: Liveness


@dataclass(frozen=True, slots=True)
class SegmentClosed:
    """A segment ended, at the last update that is proven, or later while its connection was alive."""

    segment_id: int
    cause: str
    detail: str
    alive_until_ns: int | None  # None: doubt reaches back to the last proven update


@dataclass(slots=True)
class Counts:
    """How many events of a stream came in, and what became of those that are no rows."""

    received: int = 0
    merged: int = 0
    dropped: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    def copy(self) -> "Counts":
        """Return a copy that later events do not change."""
        return Counts(self.received, self.merged, self.dropped, dict(self.rejected))
