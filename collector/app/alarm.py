"""Publish an alarm when an exchange has many critical errors in a short time, or says it is not online."""

import time
from collections import deque
from collections.abc import Callable

from collector.app.exchange_status import ExchangeStatuses
from collector.events import EventBus, PotentialHalt, SegmentChanged, SnapshotFailed, State, SystemState

CODE = "critical_errors"
STATUS_CODE = "exchange_status"
DOUBTS = {
    "sequence_gap",
    "checksum",
    "crossed",
    "stale",
    "witness",
}  # why a segment ended, of those that count


class HaltAlarm:
    """Counts cut connections, failed snapshots and doubtful books of each exchange; hears what it says."""

    def __init__(
        self,
        events: EventBus,
        *,
        most: int,
        window_s: float,
        on_status: bool = True,  # whether what an exchange says of itself raises an alarm
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = events
        self._most = most
        self._window_s = window_s
        self._monotonic_s = monotonic_s
        self._on_status = on_status
        self._statuses = ExchangeStatuses()
        self._troubles_s: dict[str, deque[float]] = {}
        events.attach(SystemState, self._on_state)
        events.attach(SnapshotFailed, lambda event: self._count(event.exchange, event.at_ns, event.detail))
        events.attach(SegmentChanged, self._on_segment)

    def _on_state(self, event: SystemState) -> None:
        words = self._statuses.take(event)
        if words is not None and self._on_status:
            self._events.publish(PotentialHalt(event.exchange, STATUS_CODE, words, event.at_ns))
        if event.state is State.DISCONNECTED:
            self._count(event.exchange, event.at_ns, f"{event.connection}: {event.cause}")

    def _on_segment(self, event: SegmentChanged) -> None:
        if not event.verified and event.cause in DOUBTS:
            self._count(event.exchange, event.at_ns, f"{event.symbol} {event.channel}: {event.cause}")

    def _count(self, exchange: str, at_ns: int, last: str) -> None:
        now_s = self._monotonic_s()
        troubles_s = self._troubles_s.setdefault(exchange, deque(maxlen=self._most))
        troubles_s.append(now_s)
        if len(troubles_s) == self._most and now_s - troubles_s[0] <= self._window_s:
            troubles_s.clear()  # the next alarm takes as many again
            reason = f"{self._most} critical errors within {self._window_s:g} s, the last: {last}"
            self._events.publish(PotentialHalt(exchange, CODE, reason, at_ns))
