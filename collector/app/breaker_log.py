"""Log what a circuit breaker does: each state of an outage once, and its end with sums."""

import time
from collections.abc import Callable
from typing import Any

from collector.events import DatabaseState, EventBus
from collector.loggers import get_logger

log = get_logger(__name__)


class BreakerLog:
    """Lives in the thread of the writer whose breaker it is."""

    def __init__(
        self,
        event: str = "database.breaker",
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        **fields: Any,  # of each line
    ) -> None:
        self._event = event
        self._fields = fields
        self._monotonic_s = monotonic_s
        self._opened_s: float | None = None
        self._tries = 0

    def listen(self, events: EventBus) -> None:
        """Log the changes of the database's breaker."""
        events.attach(DatabaseState, lambda event: self.changed(event.state, event.cause, event.rows_waiting))

    def changed(self, state: str, cause: str, rows_waiting: int) -> None:
        """Log a change that is news; what lasts is told by reminders, and at its end."""
        now_s = self._monotonic_s()
        is_first = self._opened_s is None
        self._opened_s = now_s if self._opened_s is None else self._opened_s
        shown = {**self._fields, "state": state, "rows_waiting": rows_waiting}
        if not is_first:
            shown["after_s"] = round(now_s - self._opened_s, 1)
        if cause:
            shown["cause"] = cause
        if state == "closed":
            shown["tries"], self._opened_s, self._tries = self._tries, None, 0
            log.info(self._event, **shown)
            return
        self._tries += state == "half_open"
        if state == "open":
            tell = log.warning if is_first else log.debug
        else:
            tell = log.info if self._tries == 1 else log.debug
        tell(self._event, **shown)
