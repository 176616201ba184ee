"""Start a collector, and wait for a database that is away."""

import sys
import threading
import time
from enum import Enum, auto
from typing import TYPE_CHECKING

from collector.cli.plain import span
from collector.errors import DatabaseAway
from collector.loggers import get_logger

if TYPE_CHECKING:
    from collector.app import Collector
    from collector.cli.service import ServiceManager

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 5.0
REMIND_EVERY_S = 600.0
GRACE_S = 0.5  # for an attempt that is nearly done when the wait is stopped
TICK_S = 0.05  # how soon the end of an attempt is seen

log = get_logger(__name__)


class Outcome(Enum):
    """How a start ended."""

    STARTED = auto()
    STOPPED = auto()  # by a signal
    AWAY = auto()  # the database does not answer, and is waited for no longer


EXIT_CODES = {Outcome.STARTED: 0, Outcome.STOPPED: 0, Outcome.AWAY: 75}  # EX_TEMPFAIL of sysexits.h


class _Attempt:
    """One call of `start`, in a thread: a driver that waits for a server hears no signal."""

    def __init__(self, collector: "Collector") -> None:
        self._collector = collector
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="start", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._collector.start(without_database=True)
        except BaseException as error:  # noqa: BLE001  (raised again in the main thread)
            self.error = error

    def ended(self, timeout_s: float) -> bool:
        """Wait so long for its end; return whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


class Start:
    """Starts a collector. A stop ends a wait at once, even while a call of the driver hangs."""

    def __init__(
        self, collector: "Collector", manager: "ServiceManager", *, log_is_elsewhere: bool = False
    ) -> None:
        self._collector = collector
        self._manager = manager
        self._log_is_elsewhere = log_is_elsewhere
        self._since_s = time.monotonic()
        self._told_s: float | None = None
        self._alive_s = self._since_s

    def once(self) -> Outcome:
        """Start, or raise UserError: DatabaseAway where waiting may help."""
        self._collector.start()
        return Outcome.STARTED

    def wait(self, until_s: float | None) -> Outcome:
        """Start as soon as the database answers, or raise UserError for what waiting does not mend."""
        retry_s = FIRST_RETRY_S
        while True:
            attempt = _Attempt(self._collector)
            while not attempt.ended(TICK_S):
                if self._is_over(0.0, until_s):
                    return self._outcome(attempt, until_s)
            if attempt.error is None:
                self._tell_answer()
                return Outcome.STARTED
            if not isinstance(attempt.error, DatabaseAway):
                raise attempt.error
            self._tell(str(attempt.error))
            if self._is_over(retry_s, until_s):
                return self._outcome(attempt, until_s)
            retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    def _is_over(self, seconds: float, until_s: float | None) -> bool:
        """Wait so long, with signs of life; return early, and True, if no more is to be waited."""
        end_s = time.monotonic() + seconds
        while True:
            now_s = time.monotonic()
            if until_s is not None and now_s >= until_s:
                return True
            if self._told_s is not None and now_s >= self._alive_s:
                self._manager.waiting("the database")
                self._alive_s = now_s + self._manager.every_s
            left_s = (
                min(end_s, until_s or end_s, self._alive_s if self._told_s is not None else end_s) - now_s
            )
            if self._collector.wait(max(left_s, 0.0)):
                return True
            if time.monotonic() >= end_s:
                return False

    def _outcome(self, attempt: _Attempt, until_s: float | None) -> Outcome:
        """Give an attempt under way a moment; then leave its thread behind, which ends with the process."""
        if attempt.ended(GRACE_S) and self._collector.started:
            return Outcome.STARTED
        waited_s = round(time.monotonic() - self._since_s, 1)
        log.warning("database.wait_ended", after_s=waited_s, collected="nothing")
        is_late = until_s is not None and time.monotonic() >= until_s
        return Outcome.AWAY if is_late else Outcome.STOPPED

    def _tell(self, reason: str) -> None:
        """Say that it waits: once, and then as a slow reminder."""
        now_s = time.monotonic()
        if self._told_s is not None and now_s < self._told_s + REMIND_EVERY_S:
            return
        is_first, self._told_s = self._told_s is None, now_s
        if is_first:
            what_next = (
                "nothing is collected until it answers, for it was not open here before at this version; "
                "--no-wait ends instead, with exit code 75"
            )
            log.warning("database.waited_for", reason=reason, what_next=what_next)
        else:
            log.warning("database.still_waited_for", reason=reason, since=span(now_s - self._since_s))
        if self._log_is_elsewhere:
            print(f"waiting for the database: {reason}", file=sys.stderr, flush=True)

    def _tell_answer(self) -> None:
        if self._told_s is not None:
            log.info("database.answers", waited_s=round(time.monotonic() - self._since_s, 1))
