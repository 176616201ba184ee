"""Define what a start waits for: the first verified book, or every one that is asked for."""

import threading
import time
from collections.abc import Sequence
from typing import Literal

from collector.app import Collector
from collector.errors import IngestorError
from collector.events import Channel, SegmentChanged, StreamKey
from collector.settings import Settings

WaitFor = Literal["first", "all"]
LOOK_EVERY_S = 0.05  # whether a thread has ended, or nothing can come any more
MOST_NAMED = 12  # streams in one message


class Awaited:
    """Knows which books are verified. Where no book is asked for, any stream counts as one."""

    def __init__(self, settings: Settings, wait_for: WaitFor, given_up: threading.Event) -> None:
        channels = {one for exchange in settings.exchanges.values() for one in exchange.channels}
        self._channels = {one for one in channels if Channel.of(one).is_book} or channels
        self._all = wait_for == "all"
        self._given_up = given_up  # set when nobody waits any more
        self._verified: set[StreamKey] = set()
        self._changed = threading.Event()

    def take(self, event: SegmentChanged) -> None:
        """Take note of a stream that is verified, or is no more. Called in the websocket thread."""
        if event.channel in self._channels:
            (self._verified.add if event.verified else self._verified.discard)(event.key)
            self._changed.set()

    def wait(self, collector: Collector, until_s: float) -> bool:
        """Wait until it is there; False when the time is over or it will not come."""
        while not self._is_there(collector):
            left_s = until_s - time.monotonic()
            if left_s <= 0 or self._given_up.is_set() or (self._all and collector.refused):
                return False
            if collector.wait(0.0):  # a thread has ended, or there is nothing to collect
                return self._is_there(collector)
            self._changed.wait(min(left_s, LOOK_EVERY_S))
            self._changed.clear()
        return True

    def failure(self, collector: Collector, timeout_s: float, last_trouble: str) -> IngestorError:
        """Explain why it is not there."""
        if collector.refused:
            return IngestorError("refused", "; ".join(collector.refused))
        if not (collector.stream.alive and collector.writer.alive):
            why = collector.stream.failure or collector.writer.failure
            return IngestorError("thread_ended", f"a thread ended: {why!r}", cause=why)
        trouble = f"; the last trouble was {last_trouble}" if last_trouble else ""
        expected, missing = self._expected(collector), self._missing(collector)
        if self._all and len(missing) < len(expected):
            there = f"{len(expected) - len(missing)} of {len(expected)} books verified within {timeout_s:g} s"
            return IngestorError("not_all", f"{there}; missing: {_named(missing)}{trouble}")
        return IngestorError("no_book", f"no verified book within {timeout_s:g} s{trouble}")

    def _is_there(self, collector: Collector) -> bool:
        if not self._all:
            return bool(self._verified)
        return bool(self._expected(collector)) and not self._missing(collector)

    def _expected(self, collector: Collector) -> list[StreamKey]:
        return [key for key in collector.expected if key.channel in self._channels]

    def _missing(self, collector: Collector) -> list[StreamKey]:
        verified = self._verified.copy()
        return [key for key in self._expected(collector) if key not in verified]


def _named(keys: Sequence[StreamKey]) -> str:
    more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    return ", ".join(" ".join(key) for key in keys[:MOST_NAMED]) + more
