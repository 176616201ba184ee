"""Raise one alarm when a part ceases to be healthy, and none again before it was well for a while."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from collector.health.rules import Health, Part, Verdict

WELL_FOR_S = 60.0  # so long it must have been well before another alarm: a figure may stay near its limit
STARTS_WITHIN_S = 10.0  # of the start: figures of the first moments say nothing


@dataclass(slots=True)
class HealthAlarms:
    """Remembers which parts were told of. Used by one thread."""

    raise_alarm: Callable[[Part], None]
    tell_end: Callable[[Part], None] = lambda _part: None
    began_s: float = 0.0
    _well_since_s: dict[str, float | None] = field(default_factory=dict)  # of parts told of; None: still ill

    def look(self, health: Health, now_s: float) -> None:
        """Look at the parts that raise alarms."""
        if now_s - self.began_s < STARTS_WITHIN_S:
            return
        for part in self._watched(health):
            if part.state is not Verdict.HEALTHY:
                if part.name not in self._well_since_s:
                    self.raise_alarm(part)
                self._well_since_s[part.name] = None
            elif part.name in self._well_since_s:
                since_s = self._well_since_s[part.name]
                if since_s is None:
                    self._well_since_s[part.name] = now_s
                elif now_s - since_s >= WELL_FOR_S:
                    del self._well_since_s[part.name]
                    self.tell_end(part)

    @staticmethod
    def _watched(health: Health) -> Iterator[Part]:
        return (part for part in health.parts if part.alarms)
