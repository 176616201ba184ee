"""Decide which books are fetched again, and when. No I/O, no clock."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from collector.retry import Backoff
from collector.streams.book_stream import BookStream

EDGE_WAIT_S = 1.0  # between two snapshots of a book whose price stays near its edge
MOST_QUIET_WAIT_S = 300.0  # a quiet topic is asked again after stale_after_s, twice that, ... at most this


@dataclass(slots=True)
class _Topic:
    asked_s: float = 0.0
    due_s: float | None = None
    failures: int = 0  # since the book was last verified
    quiet_requests: int = 0
    mismatches_s: deque[float] = field(default_factory=deque)


class Resyncs:
    """The snapshots that the topics of one connection wait for or need."""

    def __init__(
        self,
        *,
        backoff: Backoff,
        snapshot_timeout_s: float,
        stale_after_s: float,
        max_mismatches: int,
        mismatch_window_s: float,
    ) -> None:
        self._backoff = backoff
        self._snapshot_timeout_s = snapshot_timeout_s
        self._stale_after_s = stale_after_s
        self._max_mismatches = max_mismatches
        self._mismatch_window_s = mismatch_window_s
        self._topics: dict[str, _Topic] = {}

    def asked(self, topics: Iterable[str], now_s: float) -> None:
        """Record that a snapshot of each of these topics was asked for."""
        for name in topics:
            topic = self._topics.setdefault(name, _Topic())
            topic.asked_s = now_s
            topic.due_s = None

    def wanted(self, topics: Iterable[str], now_s: float) -> None:
        """Schedule a snapshot of each of these topics now: the stream brings none."""
        for name in topics:
            self._topics.setdefault(name, _Topic()).due_s = now_s

    def failed(self, name: str, now_s: float) -> None:
        """Schedule another snapshot after one that did not come or did not fit."""
        topic = self._topics[name]
        topic.due_s = now_s + self._backoff.wait_s(topic.failures)
        topic.failures += 1

    def broke(self, name: str, now_s: float) -> bool:
        """Schedule a snapshot of a book in doubt; True when that happened too often within the window."""
        topic = self._topics.setdefault(name, _Topic())
        topic.due_s = now_s + (self._backoff.wait_s(topic.failures - 1) if topic.failures else 0.0)
        topic.failures += 1
        mismatches = topic.mismatches_s
        mismatches.append(now_s)
        while mismatches[0] < now_s - self._mismatch_window_s:
            mismatches.popleft()
        return len(mismatches) == self._max_mismatches

    def forget(self, name: str) -> None:
        """Forget a topic that is no longer collected."""
        self._topics.pop(name, None)

    def due(self, streams: Iterable[BookStream], now_ns: int, now_s: float) -> list[str]:
        """Return the topics to ask for again now."""
        return [stream.topic.name for stream in streams if self._is_due(stream, now_ns, now_s)]

    def is_unanswered(self, stream: BookStream, now_ns: int, now_s: float) -> bool:
        """Return whether a topic asked for again stayed silent for as long as a snapshot may take."""
        waited_s = now_s - self._topics[stream.topic.name].asked_s
        quiet_s = (now_ns - stream.last_update_at_ns) / 1e9
        return min(waited_s, quiet_s) > self._snapshot_timeout_s

    def _is_due(self, stream: BookStream, now_ns: int, now_s: float) -> bool:
        topic = self._topics.setdefault(stream.topic.name, _Topic(asked_s=now_s))
        if topic.due_s is not None:
            return now_s >= topic.due_s
        if not stream.verified:
            return now_s - topic.asked_s > self._snapshot_timeout_s
        topic.failures = 0
        if stream.near_the_edge:
            return now_s - topic.asked_s > EDGE_WAIT_S
        return self._is_stale(topic, stream.last_update_at_ns, now_ns, now_s)

    def _is_stale(self, topic: _Topic, last_update_at_ns: int, now_ns: int, now_s: float) -> bool:
        """Return whether a topic was silent for so long that it must be asked for again.

        A new subscription brings a snapshot: the same sequence proves quiet, another proves stale.
        """
        quiet_s = (now_ns - last_update_at_ns) / 1e9
        if quiet_s <= self._stale_after_s:
            topic.quiet_requests = 0
            return False
        wait_s = min(MOST_QUIET_WAIT_S, self._stale_after_s * 2.0**topic.quiet_requests)
        if now_s - topic.asked_s <= wait_s or quiet_s <= wait_s:
            return False
        topic.quiet_requests += 1
        return True
