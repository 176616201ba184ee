"""Log what the circuit breaker of the database does: each state of an outage once, and its end with sums."""

import time
from collections.abc import Callable

from collector.events import DatabaseState, EventBus
from collector.loggers import get_logger

log = get_logger(__name__)


class DatabaseLog:
    """Lives in the writer thread, which publishes."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._opened_s: float | None = None
        self._tries = 0

    def listen(self, events: EventBus) -> None:
        """Attach to the event bus."""
        events.attach(DatabaseState, self._on_state)

    def _on_state(self, event: DatabaseState) -> None:
        now_s = self._monotonic_s()
        is_first = self._opened_s is None
        self._opened_s = now_s if self._opened_s is None else self._opened_s
        shown: dict[str, object] = {"state": event.state, "rows_waiting": event.rows_waiting}
        if not is_first:
            shown["after_s"] = round(now_s - self._opened_s, 1)
        if event.cause:
            shown["cause"] = event.cause
        if event.state == "closed":
            shown["tries"], self._opened_s, self._tries = self._tries, None, 0
            log.info("database.breaker", **shown)
            return
        self._tries += event.state == "half_open"
        if event.state == "open":
            tell = log.warning if is_first else log.debug
        else:  # it tries; what becomes of the tries that follow is told at the end, and by reminders
            tell = log.info if self._tries == 1 else log.debug
        tell("database.breaker", **shown)
