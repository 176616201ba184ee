"""Log that a collector is not well, go on saying so while that lasts, and say that it is over."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from collector.app.monitor import Checked
from collector.health import Health, Part, Verdict
from collector.loggers import get_logger

SETTLES_S = 3.0  # what is over by then is a line of its own at most: a connection that was replaced, a gap
STARTS_WITHIN_S = 10.0
REMIND_AFTER_S = 60.0
REMIND_AGAIN_S = (240.0, 600.0, 2700.0, 3600.0)  # after the reminder before; and then every hour
WELL_FOR_S = 10.0  # so long it must have been well: trouble that comes and goes is one trouble

log = get_logger(__name__)


@dataclass(slots=True)
class _Trouble:
    """One part that is not well."""

    since_s: float
    part: Part
    is_told: bool = False
    is_reminded: bool = False
    well_since_s: float | None = None


class TroubleLog:
    """Looks at what was checked last. Used by one thread."""

    def __init__(
        self, latest: Callable[[], Checked | None], *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._latest = latest
        self._monotonic_s = monotonic_s
        self._began_s: float | None = None
        self._told = Verdict.HEALTHY  # the state of the whole
        self._other_since_s: float | None = None  # since when it is another one
        self._troubles: dict[str, _Trouble] = {}
        self._due_s: float | None = None  # when all that lasts is reminded of again
        self._reminders = 0

    def look(self) -> None:
        """Log what is news, and remind of what lasts."""
        checked = self._latest()
        if checked is None:
            return
        now_s = self._monotonic_s()
        self._began_s = now_s if self._began_s is None else self._began_s
        for part in checked.health.parts:
            self._look_at(part, now_s)
        self._look_at_whole(checked.health, now_s)
        is_new = any(
            not one.is_reminded and one.well_since_s is None and now_s - one.since_s >= REMIND_AFTER_S
            for one in self._troubles.values()
        )
        if is_new or (self._due_s is not None and now_s >= self._due_s):
            self._remind(checked.health.state, now_s)
        self._tell_end(now_s)

    def _look_at_whole(self, health: Health, now_s: float) -> None:
        """Log a part that has not been well for a moment, or a whole that is worse, or well again."""
        news = [
            one
            for one in self._troubles.values()
            if not one.is_told and one.well_since_s is None and now_s - one.since_s >= SETTLES_S
        ]
        if health.state is self._told:
            self._other_since_s = None
        elif self._other_since_s is None:
            self._other_since_s = now_s
        is_other = self._other_since_s is not None and now_s - self._other_since_s >= SETTLES_S
        if self._began_s is not None and now_s - self._began_s < STARTS_WITHIN_S:
            return  # that a start takes a moment is no trouble
        if news or is_other:
            self._told, self._other_since_s = health.state, None
            told = [f"{one.part.name}: {one.part.reason}" for one in news] or health.reasons
            tell = log.info if health.state is Verdict.HEALTHY else log.warning
            shown = {"reasons": "; ".join(told)} if told else {}
            tell("health.changed", state=health.state.value, **shown)
        for one in news:
            one.is_told = True

    def _look_at(self, part: Part, now_s: float) -> None:
        trouble = self._troubles.get(part.name)
        if part.state is not Verdict.HEALTHY:
            if trouble is None:
                self._troubles[part.name] = _Trouble(now_s, part)
            else:
                trouble.part, trouble.well_since_s = part, None
        elif trouble is not None and trouble.well_since_s is None:
            trouble.well_since_s = now_s

    def _remind(self, state: Verdict, now_s: float) -> None:
        """Log in one line all that lasts, or what is new in it."""
        ill = {
            name: one
            for name, one in self._troubles.items()
            if now_s - one.since_s >= STARTS_WITHIN_S and one.well_since_s is None
        }
        is_due = self._due_s is not None and now_s >= self._due_s
        told = ill if is_due else {name: one for name, one in ill.items() if not one.is_reminded}
        if not told:
            return
        for one in told.values():
            one.is_reminded = True
        if is_due or self._due_s is None:
            waits_s = REMIND_AGAIN_S[min(self._reminders, len(REMIND_AGAIN_S) - 1)]
            self._due_s, self._reminders = now_s + waits_s, self._reminders + 1
        log.warning(
            "trouble.lasts",
            state=state.value,
            since=", ".join(f"{name} {now_s - one.since_s:.0f} s" for name, one in told.items()),
            reasons="; ".join(f"{name}: {one.part.reason}" for name, one in told.items()),
        )

    def _tell_end(self, now_s: float) -> None:
        """Log what is over, once all that ended with it is over for a while."""
        ended = {name: one for name, one in self._troubles.items() if one.well_since_s is not None}
        if any(now_s - (one.well_since_s or now_s) < WELL_FOR_S for one in ended.values()):
            return
        for name in ended:
            del self._troubles[name]
        told = [
            f"{name} {(one.well_since_s or now_s) - one.since_s:.0f} s"
            for name, one in ended.items()
            if one.is_reminded
        ]
        if not self._troubles:
            self._due_s, self._reminders = None, 0
        if told:
            log.info("trouble.over", lasted=", ".join(told))
