"""Read all shards of a stream in turn, parents before their children."""

import math
import time
from collections.abc import Callable, Mapping

from collector.consume.limits import ConsumeLimits
from collector.consume.shard_reader import ShardReader
from collector.consume.shards import TRIM_HORIZON, Shard, readable, vanished
from collector.consume.stream import Stream
from collector.loggers import get_logger
from collector.sinks import ShardPosition

log = get_logger(__name__)
_NS = 1_000_000_000


class ShardSet:
    """The shards of a stream and how far each is read."""

    def __init__(
        self,
        stream: Stream,
        limits: ConsumeLimits,
        now_s: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._stream = stream
        self._limits = limits
        self._now_s = now_s
        self._now_ns = now_ns
        self._positions: dict[str, ShardPosition] = {}
        self._listed: list[Shard] = []
        self._finished: set[str] = set()
        self._readers: dict[str, ShardReader] = {}
        self._arrived_ns: dict[str, int] = {}  # the last record of each shard
        self._known_ns: dict[str, int] = {}  # when nothing of a shard was unread
        self._keeps_ns = 0  # how long the stream keeps a record
        self.list_due_s = -math.inf

    def recall(self, positions: Mapping[str, ShardPosition]) -> None:
        """Begin where these positions say, as the database has them. Raises AwsError."""
        self._keeps_ns = int(self._stream.keeps_s() * _NS)
        self._positions = dict(positions)
        self._known_ns = {shard: one.read_up_to_ns for shard, one in positions.items()}
        self._finished = {shard for shard, one in positions.items() if one.finished}
        self._readers.clear()
        self._arrived_ns.clear()
        self.list_due_s = -math.inf

    def look(self, begin: str) -> tuple[dict[str, ShardPosition], list[str]]:
        """List the shards; return the positions of new ones, to be stored, and what is lost with its shard.

        Shards that come later are read from their first record. Raises AwsError.
        """
        self._listed = self._stream.shards()
        self.list_due_s = self._now_s() + self._limits.list_every_s
        position = ShardPosition(TRIM_HORIZON if self._positions else begin)
        first = {one.shard_id: position for one in self._listed if one.shard_id not in self._positions}
        self._positions.update(first)
        gone = [one for one in vanished(self._listed, self._positions) if one not in self._finished]
        self._finished.update(gone)
        for shard in gone:
            self._readers.pop(shard, None)
        self._begin()
        return first, gone

    def position_of(self, shard: str) -> str:
        """Return where the reading of a shard began."""
        known = self._positions.get(shard)
        return TRIM_HORIZON if known is None else known.position

    def finish(self, shard: str) -> None:
        """Go on with the children of a shard that was read to its end."""
        self._finished.add(shard)
        self._readers.pop(shard, None)
        self._arrived_ns.pop(shard, None)
        self.list_due_s = -math.inf  # there is a child, which may not be listed yet
        self._begin()
        log.info("consume.shard_finished", shard=shard)

    def arrived(self, shard: str, at_ns: int) -> None:
        """Note when the last record that was read of a shard had come into the stream."""
        self._arrived_ns[shard] = self._known_ns[shard] = at_ns

    def note_tip(self) -> int | None:
        """Return when nothing of any shard was unread, if that is now."""
        if not self.is_at_tip:
            return None
        now_ns = self._now_ns()
        self._known_ns = dict.fromkeys(self._positions, now_ns)
        return now_ns

    def due(self) -> ShardReader | None:
        """Return the reader that waits longest among those that may be asked now."""
        first = min(self._readers.values(), key=lambda one: one.due_s, default=None)
        return first if first is not None and first.due_s <= self._now_s() else None

    @property
    def wait_s(self) -> float:
        """Return how long nothing has to be done."""
        due_s = min([self.list_due_s, *(one.due_s for one in self._readers.values())])
        return max(0.0, due_s - self._now_s())

    @property
    def is_at_tip(self) -> bool:
        """Return whether there was nothing newer in any shard when it was asked last."""
        return math.isfinite(self.list_due_s) and all(one.is_at_tip for one in self._readers.values())

    @property
    def reading(self) -> int:
        """Return how many shards are read now."""
        return len(self._readers)

    @property
    def behind_s(self) -> float | None:
        """Return how much older than the newest record is what was read last; None: not known yet."""
        known = [one.behind_s for one in self._readers.values() if one.behind_s is not None]
        return max(known) if known else None

    @property
    def error(self) -> str:
        """Return why a shard cannot be read now; empty: all can be."""
        return next((f"{one.shard}: {one.error}" for one in self._readers.values() if one.error), "")

    @property
    def read_up_to_ns(self) -> int | None:
        """Return the time of the stream before which all was read; None: not known yet."""
        now_ns = self._now_ns()
        times = [
            now_ns if one.is_at_tip else self._arrived_ns.get(one.shard) for one in self._readers.values()
        ]
        known = [one for one in times if one is not None]
        return min(known) if known and len(known) == len(times) else None

    def _begin(self) -> None:
        for shard in readable(self._listed, self._finished):
            if shard not in self._readers:
                position = self.position_of(shard)
                self._readers[shard] = ShardReader(
                    self._stream,
                    shard,
                    position,
                    self._limits,
                    self._now_s,
                    is_forgotten=self._is_forgotten,
                )
                log.info("consume.shard_begun", shard=shard, position=position)

    def _is_forgotten(self, shard: str) -> bool:
        """Return whether the stream may have forgotten something unread: nothing refuses a position then."""
        known_ns = self._known_ns.get(shard)
        if known_ns is None or self._now_ns() - known_ns <= self._keeps_ns:
            return False
        del self._known_ns[shard]
        return True
