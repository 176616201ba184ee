"""Keep the last events of a running collector, also while its database is away."""

from collections import deque
from itertools import count
from typing import Any

from collector.events import EventBus, Notice
from collector.writer import KINDS, event_row

EVENTS_SHOWN = 50
EVENT = ("at_ns", "kind", "exchange", "symbol", "code", "detail")
BEFORE_ALL = -(2**40)  # the first id here: none of the table's, which count up from 1


class RecentEvents:
    """The last events, also while the database is away. Threads that publish add, any may read."""

    def __init__(self, bus: EventBus) -> None:
        self._ids = count(BEFORE_ALL)
        self._last: deque[tuple[int, Notice]] = deque(maxlen=EVENTS_SHOWN)
        self._detach = [bus.attach(kind, self._note) for kind in KINDS]

    def close(self) -> None:
        """Listen no more."""
        for detach in self._detach:
            detach()

    def rows(self) -> list[dict[str, Any]]:
        """Return them, the newest first."""
        found = list(self._last)[::-1]
        return [{"id": number, **dict(zip(EVENT, event_row(one), strict=True))} for number, one in found]

    def _note(self, event: Notice) -> None:
        self._last.append((next(self._ids), event))
