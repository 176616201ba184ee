"""Decide which books are fetched again or asked about, and when. No I/O, no clock."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from collector.live.limits import Limits
from collector.network import Need
from collector.retry import Backoff
from collector.streams import BookStream

EDGE_WAIT_S = 1.0  # between two snapshots of a book whose price stays near its edge
MOST_QUIET_WAIT_S = 300.0  # a quiet topic is asked again after stale_after_s, twice that, ... at most this
PATIENCE_S = 5.0  # for the stream to reach what REST shows already
LOOK_S = 1.0  # how late at most a due question is noticed, and an answer that is missing


def longest_stall_s(
    stale_after_s: float, *, rest_timeout_s: float | None, stream_timeout_s: float | None
) -> float:
    """Return for how long a stalled stream can be taken for a quiet one, while no request has to wait.

    Until it is found there pass: the longest wait for a question; where REST is asked, an answer that is just
    in time, and the patience with the stream; where the stream is asked, an answer that never comes.
    """
    by_rest_s = 0.0 if rest_timeout_s is None else rest_timeout_s + PATIENCE_S
    return max(stale_after_s, MOST_QUIET_WAIT_S) + by_rest_s + (stream_timeout_s or 0.0) + LOOK_S


@dataclass(slots=True)
class _Topic:
    asked_s: float = 0.0
    due_s: float | None = None
    failures: int = 0  # since the book was last verified
    was_verified: bool = False  # since its subscription
    not_before_s: float = 0.0  # the next question or wider snapshot of a verified book
    put_off: int = 0  # such requests that failed in a row
    quiet_answers: int = 0  # the market was asked about, and was quiet
    silent_s: float = 0.0  # when it was last silent for as long as makes it suspicious
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
        self.stale_after_s = stale_after_s
        self._max_mismatches = max_mismatches
        self._mismatch_window_s = mismatch_window_s
        self._topics: dict[str, _Topic] = {}

    def asked(self, topics: Iterable[str], now_s: float) -> None:
        """Record that the request for a snapshot of each of these topics went out."""
        for name in topics:
            topic = self._topics.setdefault(name, _Topic())
            topic.asked_s = now_s
            topic.due_s = None

    def wanted(self, topics: Iterable[str], now_s: float) -> None:
        """Schedule the first snapshot of each of these topics now: the stream brings none."""
        for name in topics:
            topic = self._topics.setdefault(name, _Topic())
            topic.due_s, topic.was_verified = now_s, False

    def failed(self, name: str, now_s: float) -> None:
        """Schedule another snapshot after one that did not come or did not fit."""
        topic = self._topics[name]
        topic.due_s = now_s + self._backoff.wait_s(topic.failures)
        topic.failures += 1
        topic.not_before_s = now_s + self._backoff.wait_s(topic.put_off)
        topic.put_off += 1

    def answered(self, name: str, now_s: float, *, quiet: bool) -> None:
        """Record the answer to a question; a quiet market is asked about ever more rarely."""
        topic = self._topics.setdefault(name, _Topic())
        topic.asked_s = topic.silent_s = now_s
        topic.due_s = None
        topic.put_off = 0
        topic.quiet_answers = topic.quiet_answers + 1 if quiet else 0

    def broke(self, name: str, now_s: float) -> bool:
        """Schedule a snapshot of a book in doubt; True when that happened too often within the window."""
        topic = self._topics.setdefault(name, _Topic())
        topic.due_s = now_s + (self._backoff.wait_s(topic.failures - 1) if topic.failures else 0.0)
        topic.failures += 1
        topic.was_verified = True
        mismatches = topic.mismatches_s
        mismatches.append(now_s)
        while mismatches[0] < now_s - self._mismatch_window_s:
            mismatches.popleft()
        return len(mismatches) == self._max_mismatches

    def forget(self, name: str) -> None:
        """Forget a topic that is no longer collected."""
        self._topics.pop(name, None)

    def due(self, streams: Iterable[BookStream], now_ns: int, now_s: float) -> list[str]:
        """Return the topics to ask for again now, those needed most first."""
        return [stream.topic.name for _, stream in self.needs(streams, now_ns, now_s)]

    def needs(
        self, streams: Iterable[BookStream], now_ns: int, now_s: float
    ) -> list[tuple[Need, BookStream]]:
        """Return the books to ask for again now, those needed most first, each with its need."""
        found = ((self._need(stream, now_ns, now_s), stream) for stream in streams)
        needed = [(need, stream) for need, stream in found if need is not None]
        return sorted(needed, key=lambda each: each[0])

    def is_unanswered(self, stream: BookStream, now_ns: int, now_s: float) -> bool:
        """Return whether a topic asked for again stayed silent for as long as a snapshot may take."""
        waited_s = now_s - self._topics[stream.topic.name].asked_s
        return min(waited_s, _quiet_s(stream, now_ns)) > self._snapshot_timeout_s

    def is_silent(self, stream: BookStream, now_ns: int) -> bool:
        """Return whether a topic has been silent for as long as makes it suspicious."""
        return _quiet_s(stream, now_ns) > self.stale_after_s

    def _need(self, stream: BookStream, now_ns: int, now_s: float) -> Need | None:
        topic = self._topics.setdefault(stream.topic.name, _Topic(asked_s=now_s))
        if not stream.verified:
            if topic.due_s is not None:
                is_due = now_s >= topic.due_s
            else:
                is_due = now_s - topic.asked_s > self._snapshot_timeout_s
            return (Need.BROKEN if topic.was_verified else Need.FIRST) if is_due else None
        topic.failures, topic.was_verified = 0, True
        if now_s < topic.not_before_s:
            return None
        if stream.near_the_edge:
            return Need.EDGE if now_s - topic.asked_s > EDGE_WAIT_S else None
        return Need.QUESTION if self._is_suspicious(topic, stream, now_ns, now_s) else None

    def _is_suspicious(self, topic: _Topic, stream: BookStream, now_ns: int, now_s: float) -> bool:
        """Return whether a topic was silent for so long that somebody must be asked why.

        A message does not make a quiet market lively again: only as long a time without a silence as the
        longest wait does.
        """
        if self.is_silent(stream, now_ns):
            topic.silent_s = now_s
        elif now_s - topic.silent_s > MOST_QUIET_WAIT_S:
            topic.quiet_answers = 0
        longest_s = max(self.stale_after_s, MOST_QUIET_WAIT_S)
        wait_s = min(longest_s, self.stale_after_s * 2.0**topic.quiet_answers)
        return now_s - topic.asked_s > wait_s and _quiet_s(stream, now_ns) > wait_s


def _quiet_s(stream: BookStream, now_ns: int) -> float:
    return (now_ns - stream.last_update_at_ns) / 1e9


def new_resyncs(limits: Limits, quiet_after_s: float) -> Resyncs:
    """Make the resyncs of one connection; what an exchange tells again on its own is not silent before."""
    pace, integrity = limits.pace, limits.integrity
    return Resyncs(
        backoff=pace.backoff,
        snapshot_timeout_s=pace.subscribe_timeout_s,
        stale_after_s=max(pace.stale_after_s, quiet_after_s),
        max_mismatches=integrity.max_mismatches,
        mismatch_window_s=integrity.mismatch_window_s,
    )
