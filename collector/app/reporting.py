"""Report on a running collector to somewhere else every so often, without ever holding anything up.

What is reported is what the monitor found last. Each reporter has a thread of its own: whatever the other
side does, nothing of the collector waits for it, and what fails is counted, logged once and tried again.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from collector.app.monitor import Checked, Monitor
from collector.app.view import TOLD_AFTER, ReporterState, View
from collector.errors import CollectorError, in_one_line
from collector.loggers import get_logger
from collector.retry import Backoff

BASE_WAIT_S = 1.0  # longest wait before the first retry; doubles from there
MOST_WAITS = 6  # so many times its interval is the longest wait
LOOK_EVERY_S = 0.1  # for the first check

LAST_WITHIN_S = 1.0, 3.0  # for the last reports at least, whatever stopping took before, and at most

log = get_logger(__name__)


class Phase(StrEnum):
    """Where a collector is in its life."""

    STARTING = "starting"  # waits for its database, or opens it
    RUNNING = "running"
    STOPPING = "stopping"  # drains
    STOPPED = "stopped"  # everything is written and closed; reported once


@dataclass(frozen=True, slots=True)
class Moment:
    """What there is to report."""

    checked: Checked
    checked_ago_s: float
    phase: Phase
    every_s: float = 1.0  # so often it is checked


class Reporter:
    """A thread that reports every so often. `state` is for any thread and waits for nobody."""

    def __init__(
        self,
        name: str,
        every_s: float,
        report: Callable[[Moment], object],  # raises what prevents it
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._every_s = every_s
        self._report = report
        self._close = close
        self._backoff = Backoff(min(BASE_WAIT_S, every_s), MOST_WAITS * every_s)
        self._stopping = threading.Event()
        self._last: Moment | None = None
        self._state = ReporterState(name, 0, 0)  # replaced as a whole, by its thread
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> ReporterState:
        """Return what became of the reports so far."""
        return self._state

    def start(self, look: Callable[[], Moment | None]) -> None:
        """Start the thread; it reports as soon as there is something."""
        self._thread = threading.Thread(target=self._run, args=(look,), name="report", daemon=True)
        self._thread.start()

    def ask_to_stop(self, last: Moment | None) -> None:
        """Let the thread make its last report and end."""
        self._last = last
        self._stopping.set()

    def stop(self, within_s: float) -> bool:
        """Wait so long for the end; a report that takes longer is left to itself, and False returned."""
        if self._thread is None:
            return True
        self._thread.join(max(0.0, within_s))
        return not self._thread.is_alive()

    def _run(self, look: Callable[[], Moment | None]) -> None:
        due_s = time.monotonic()
        try:
            while not self._stopping.wait(max(0.0, due_s - time.monotonic())):
                moment = look()
                if moment is None:
                    due_s = time.monotonic() + LOOK_EVERY_S
                elif self._try(moment):
                    due_s = max(due_s + self._every_s, time.monotonic())
                else:
                    due_s = time.monotonic() + self._backoff.wait_s(self._state.failures_in_a_row - 1)
            if self._last is not None and not self._try(self._last):
                log.warning("report.last_not_sent", report=self.name, error=self._state.last_error)
        finally:
            self._close()

    def _try(self, moment: Moment) -> bool:
        before = self._state
        try:
            self._report(moment)
        except Exception as error:  # noqa: BLE001  (whatever it is, it must not end the reports)
            text = str(error) if isinstance(error, CollectorError) else in_one_line(error)
            in_a_row = before.failures_in_a_row + 1
            self._state = ReporterState(self.name, before.sent, before.failed + 1, in_a_row, text)
            if in_a_row == TOLD_AFTER:
                log.warning("report.fails", report=self.name, error=text)
            return False
        self._state = ReporterState(self.name, before.sent + 1, before.failed)
        if before.failures_in_a_row >= TOLD_AFTER:
            log.info("report.works_again", report=self.name, failed=before.failed)
        return True


class Reporters:
    """All reporters of a collector."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = list(reporters)

    def add(self, reporter: Reporter) -> None:
        """Add one before the start."""
        self._reporters.append(reporter)

    def start(self, look: Callable[[], Moment | None]) -> None:
        """Start all."""
        for one in self._reporters:
            one.start(look)

    def stop(self, last: Moment | None, within_s: float) -> None:
        """Let each make its last report; those that take longer are left to themselves."""
        least_s, most_s = LAST_WITHIN_S
        until_s = time.monotonic() + min(max(least_s, within_s), most_s)
        for one in self._reporters:
            one.ask_to_stop(last)
        for one in self._reporters:
            if not one.stop(until_s - time.monotonic()):
                log.warning("report.last_not_sent", report=one.name, error="it takes too long")

    def states(self) -> tuple[ReporterState, ...]:
        """Return what became of the reports of each."""
        return tuple(one.state for one in self._reporters)


def moment_of(monitor: Monitor, phase: Phase) -> Moment | None:
    """Return what there is to report now; None before the first check."""
    checked, ago_s = monitor.latest, monitor.checked_ago_s
    return None if checked is None else Moment(checked, ago_s or 0.0, phase, monitor.limits.every_s)


def last_moment_of(monitor: Monitor, view: View) -> Moment | None:
    """Return the last that there is to report: judged as before the stop, with all that was counted."""
    checked = monitor.latest
    if checked is None:
        return None
    return Moment(
        replace(checked, view=view, at_ns=time.time_ns()), 0.0, Phase.STOPPED, monitor.limits.every_s
    )
