"""Log that a collector is not well, go on saying so while that lasts, and say that it is over."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from collector.app.monitor import Checked
from collector.health import Health, Part, Verdict
from collector.loggers import get_logger

SETTLES_S = 3.0  # what is over by then is a line of its own at most: a connection that was replaced, a gap
STARTS_WITHIN_S = 10.0
REMIND_AFTER_S = (60.0, 300.0, 900.0, 3600.0)  # and then every hour
WELL_FOR_S = 10.0  # so long it must have been well: trouble that comes and goes is one trouble

log = get_logger(__name__)


@dataclass(slots=True)
class _Trouble:
    """One part that is not well."""

    since_s: float
    part: Part
    is_told: bool = False
    reminded: int = 0  # times
    well_since_s: float | None = None

    def due_s(self) -> float:
        """Return after how long the next reminder is due."""
        more = self.reminded - len(REMIND_AFTER_S) + 1
        return REMIND_AFTER_S[-1] * (1 + more) if more > 0 else REMIND_AFTER_S[self.reminded]


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
        if any(now_s - one.since_s >= one.due_s() for one in self._troubles.values()):
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
            tell("health.changed", state=health.state.value, reasons="; ".join(told))
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
        """Log in one line all that lasts."""
        lasting = {
            name: one
            for name, one in self._troubles.items()
            if now_s - one.since_s >= REMIND_AFTER_S[0] and one.well_since_s is None
        }
        for one in lasting.values():
            while now_s - one.since_s >= one.due_s():
                one.reminded += 1
        if lasting:
            log.warning(
                "trouble.lasts",
                state=state.value,
                since=", ".join(f"{name} {now_s - one.since_s:.0f} s" for name, one in lasting.items()),
                reasons="; ".join(f"{name}: {one.part.reason}" for name, one in lasting.items()),
            )

    def _tell_end(self, now_s: float) -> None:
        over = {
            name: one
            for name, one in self._troubles.items()
            if one.well_since_s is not None and now_s - one.well_since_s >= WELL_FOR_S
        }
        for name in over:
            del self._troubles[name]
        told = [
            f"{name} {one.well_since_s - one.since_s:.0f} s"
            for name, one in over.items()
            if one.reminded and one.well_since_s is not None
        ]
        if told:
            log.info("trouble.over", lasted=", ".join(told))
