"""Publish that a stream which was in trouble is verified again: the end of a halt."""

from typing import TYPE_CHECKING

from collector.events import BookVerified, Channel, EventBus, PotentialHalt, SegmentChanged, StreamVerified

if TYPE_CHECKING:
    from collector.events import StreamKey

STOPPED_BY_US = {"stop", "unsubscribed", "left_universe"}  # segments end so when somebody asked for it


class Recovery:
    """Remembers which streams broke, and earlier alarms. Called in the publisher's thread."""

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._broken: dict[StreamKey, SegmentChanged] = {}
        self._begun: set[StreamKey] = set()
        self._halts: dict[tuple[str, str | None], PotentialHalt] = {}  # by exchange and symbol
        events.attach(PotentialHalt, self._on_halt)
        events.attach(SegmentChanged, self._on_segment)

    def _on_halt(self, event: PotentialHalt) -> None:
        self._halts[event.exchange, event.symbol] = event

    def _on_segment(self, event: SegmentChanged) -> None:
        if event.verified:
            self._verified(event)
        elif event.cause not in STOPPED_BY_US:
            self._broken[event.key] = event

    def _verified(self, event: SegmentChanged) -> None:
        key = event.key
        before = self._broken.pop(key, None)
        trouble = None if before is None else (before.cause, before.at_ns)
        if before is None and key not in self._begun:
            halt = self._halts.get((key.exchange, key.symbol)) or self._halts.get((key.exchange, None))
            trouble = None if halt is None else (halt.code, halt.at_ns)
        self._begun.add(key)
        if trouble is not None:
            kind = BookVerified if Channel.of(key.channel).is_book else StreamVerified
            cause, lost_at_ns = trouble
            self._events.publish(kind(*key, at_ns=event.at_ns, lost_at_ns=lost_at_ns, cause=cause))
