"""Check a running collector again and again, and keep the last result for whoever asks.

Readers take what was kept: a hundred of them cost the collector no more than none.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from collector.app.machine import Machine
from collector.app.view import MISSING, View
from collector.clock import seconds_since
from collector.events import PotentialHalt, StreamKey
from collector.health import (
    Facts,
    Health,
    HealthAlarms,
    HealthLimits,
    MachineFacts,
    Part,
    StreamFact,
    Verdict,
    judge,
)
from collector.loggers import get_logger
from collector.writer import Turns

STOP_WITHIN_S = 2.0
LATE_CHECKS = 10  # so many that did not come in time, and at least as long as one waits for an answer
LEAST_LATE_S = 10.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of one check."""

    view: View
    machine: MachineFacts
    health: Health
    at_ns: int
    since_ns: int  # since when the whole is in this state


class Monitor:
    """A thread that checks every so often. `latest` is for any thread and waits for nobody."""

    def __init__(
        self,
        limits: HealthLimits,
        machine: Machine,
        exchanges: tuple[str, ...],  # that are configured
        publish: Callable[[PotentialHalt], None],
        heard: Callable[[], int | None] = lambda: None,  # as `Turns` has it
    ) -> None:
        self.limits = limits
        self.latest: Checked | None = None  # replaced as a whole
        self.before: Checked | None = None  # the one before it
        self._machine = machine
        self._exchanges = exchanges
        self._publish = publish
        self._turns = Turns(heard)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._checked_s: float | None = None
        self._alarms = HealthAlarms(self._alarm, self._tell_end, time.monotonic())
        self._failed = False

    def start(self, look: Callable[[], View]) -> None:
        """Start the thread."""
        self._alarms.began_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(look,), name="health", daemon=True)
        self._thread.start()

    @property
    def checked_ago_s(self) -> float | None:
        """Return how long ago the last check was; None before the first."""
        return None if self._checked_s is None else max(0.0, time.monotonic() - self._checked_s)

    def ask_to_stop(self) -> None:
        """Make no more checks."""
        self._stopping.set()

    def stop(self) -> None:
        """End the thread. Idempotent."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN_S)

    def check(self, view: View) -> Checked:
        """Judge a view, raise the alarms that are due, and keep the result."""
        machine, now_ns = self._machine.measure(), time.time_ns()
        health = judge(facts_of(view, machine, self._exchanges, now_ns), self.limits)
        before = self.latest
        is_same = before is not None and before.health.state == health.state
        since_ns = before.since_ns if before is not None and is_same else now_ns
        self._alarms.look(health, time.monotonic())
        self.before, self.latest = before, Checked(view, machine, health, now_ns, since_ns)
        self._checked_s = time.monotonic()
        return self.latest

    def _run(self, look: Callable[[], View]) -> None:
        while not self._turns.wait(
            self._stopping.wait, self.limits.every_s if self.latest or self._failed else 0.0
        ):
            try:
                with self._turns.step():
                    self.check(look())
                self._failed = False
            except Exception:
                if not self._failed:  # one line, however long it lasts
                    log.exception("health.check_failed")
                self._failed = True

    def _alarm(self, part: Part) -> None:
        self._publish(PotentialHalt("", f"health_{part.name}", part.reason, time.time_ns()))

    def _tell_end(self, part: Part) -> None:
        log.info("health.well_again", part=part.name)


def rates_between(before: View, after: View) -> dict[StreamKey, float]:
    """Return how many events a second each stream received between two views."""
    passed_s = after.uptime_s - before.uptime_s
    if passed_s <= 0.0:
        return {}
    had: Mapping[StreamKey, int] = {one.key: one.counts.received for one in before.streams}
    new: Iterable[tuple[StreamKey, int]] = ((one.key, one.counts.received) for one in after.streams)
    return {key: max(0, received - had.get(key, received)) / passed_s for key, received in new}


def health_now(checked: Checked, ago_s: float, every_s: float) -> tuple[Verdict, list[str]]:
    """Return the state that a check found, and why; unhealthy if it is too old to tell of now."""
    reasons = list(checked.health.reasons)
    if ago_s > max(LEAST_LATE_S, LATE_CHECKS * every_s):
        return Verdict.UNHEALTHY, [f"the last check was {ago_s:.0f} s ago: what follows is old", *reasons]
    return checked.health.state, reasons


def facts_of(view: View, machine: MachineFacts, exchanges: tuple[str, ...], now_ns: int) -> Facts:
    """Return what the rules of health look at."""
    writer = view.writer
    step_ns = view.clock_stepped_ns
    return Facts(
        exchanges=exchanges,
        streams=tuple(_stream_facts(view, now_ns)),
        loop_silent_s=view.loop_silent_s,
        loop_ended=view.loop_ended,
        writer_alive=writer.alive,
        unreached=view.unreached,
        refused=view.refused,
        statuses=view.statuses,
        pending=view.pending,
        dropped=view.dropped,
        difference=view.difference,
        commit_age_s=seconds_since(writer.last_commit_ns, now_ns),
        uptime_s=view.uptime_s,
        database_error=writer.last_error,
        breaker=writer.breaker,
        buffer_rows=writer.buffer_rows,
        buffer_max_rows=writer.buffer_max_rows,
        spooled_rows=writer.spooled_rows,
        spilling=writer.spilling,
        spool_bytes=writer.spool_bytes,
        spool_max_bytes=writer.spool_max_bytes,
        chores=dict(view.failing_chores),
        followers={one.name: one.last_error for one in view.followers if one.last_error is not None},
        reports={one.name: one.trouble for one in view.reports if one.trouble is not None},
        clock_step_age_s=seconds_since(step_ns, now_ns),
        machine=machine,
    )


def _stream_facts(view: View, now_ns: int) -> list[StreamFact]:
    facts = []
    for one in view.asked:
        now = one.glance
        age_s = None if now is None else seconds_since(now.received_at_ns, now_ns)
        lag_s = None if now is None or now.lag_ms is None else now.lag_ms / 1000.0
        is_timed = not one.key.channel.startswith("ohlcv")  # a bar's time is that of its interval
        cause = "" if one.state == MISSING else one.last_cause
        name = " ".join(one.key)
        facts.append(StreamFact(name, one.key.exchange, one.state, cause, age_s, lag_s if is_timed else None))
    return facts
