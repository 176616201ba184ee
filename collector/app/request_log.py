"""Log once that an exchange may not be asked over REST, or not as fast, and at the end what that came to."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.events import EventBus, RequestsPaused, RequestsWait
from collector.loggers import get_logger
from collector.network import BudgetNow

REMIND_AFTER_S = (300.0, 900.0, 3600.0)  # and then every hour
OVER_AFTER_S = 60.0  # without a pause, or anybody who waits

log = get_logger(__name__)

Budgets = Mapping[str, tuple[BudgetNow, ...]]  # by exchange


@dataclass(slots=True)
class _Spell:
    """A time in which requests have to wait, again and again."""

    began_s: float
    last_s: float  # when there was trouble last
    waits: int  # that the budgets had counted before
    waited_s: float
    pauses: int = 0
    paused_s: float = 0.0
    paused_until_s: float = 0.0
    reminded: int = 0  # times


class RequestLog:
    """Takes events in whatever thread they come; `look` logs the end of a spell."""

    def __init__(
        self, budgets: Callable[[], Budgets], *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._budgets = budgets
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._spells: dict[str, _Spell] = {}

    def listen(self, events: EventBus) -> None:
        """Attach to the event bus."""
        events.attach(RequestsPaused, self._on_pause)
        events.attach(RequestsWait, self._on_wait)

    def look(self) -> None:
        """Log the spells that are over."""
        if not self._spells:
            return
        budgets, now_s = self._budgets(), self._monotonic_s()
        with self._lock:
            for exchange, spell in list(self._spells.items()):
                if any(one.closed_for_s > 0.0 or one.waiting for one in budgets.get(exchange, ())):
                    spell.last_s = now_s
                    self._remind(exchange, spell, budgets, now_s)
                elif now_s - spell.last_s >= OVER_AFTER_S:
                    self._end(exchange, spell, budgets)

    def finish(self) -> None:
        """Log the sums of the spells that are under way."""
        budgets = self._budgets() if self._spells else {}
        with self._lock:
            for exchange, spell in list(self._spells.items()):
                self._end(exchange, spell, budgets)

    def _on_pause(self, event: RequestsPaused) -> None:
        for_s = (event.until_ns - event.at_ns) / 1e9
        spell, now_s = self._spell(event.exchange), self._monotonic_s()
        with self._lock:
            spell.pauses += 1
            until_s = max(spell.paused_until_s, now_s + for_s)
            spell.paused_s += until_s - max(spell.paused_until_s, now_s)
            spell.paused_until_s = spell.last_s = until_s
            tell = log.warning if spell.pauses == 1 else log.debug
        until = datetime.fromtimestamp(event.until_ns / 1e9, UTC).isoformat(timespec="seconds")
        tell(
            "requests.paused",
            exchange=event.exchange,
            cause=event.cause,
            for_s=round(for_s, 1),
            until=until,
        )

    def _on_wait(self, event: RequestsWait) -> None:
        is_first = event.exchange not in self._spells
        self._spell(event.exchange, counted=(1, event.waited_s))
        tell = log.warning if is_first else log.debug
        waited_s = round(event.waited_s, 1)
        tell(
            "requests.wait", exchange=event.exchange, need=event.need, waited_s=waited_s, others=event.waiting
        )

    def _spell(self, exchange: str, *, counted: tuple[int, float] = (0, 0.0)) -> _Spell:
        """Return the spell under way, or a new one; `counted`: waits of it that the budgets have already."""
        waits, waited_s = _waited(self._budgets(), exchange)
        now_s = self._monotonic_s()
        with self._lock:
            spell = self._spells.setdefault(
                exchange, _Spell(now_s, now_s, waits - counted[0], waited_s - counted[1])
            )
            spell.last_s = max(spell.last_s, now_s)
            return spell

    def _remind(self, exchange: str, spell: _Spell, budgets: Budgets, now_s: float) -> None:
        due_s = REMIND_AFTER_S[min(spell.reminded, len(REMIND_AFTER_S) - 1)]
        more = max(0, spell.reminded - len(REMIND_AFTER_S) + 1)
        if now_s - spell.began_s >= due_s + more * REMIND_AFTER_S[-1]:
            spell.reminded += 1
            log.warning("requests.still_held", **_sums(exchange, spell, budgets))

    def _end(self, exchange: str, spell: _Spell, budgets: Budgets) -> None:
        del self._spells[exchange]
        log.info("requests.flow_again", **_sums(exchange, spell, budgets))


def _sums(exchange: str, spell: _Spell, budgets: Budgets) -> dict[str, object]:
    waits, waited_s = _waited(budgets, exchange)
    return {
        "exchange": exchange,
        "lasted_s": round(spell.last_s - spell.began_s, 1),
        "pauses": spell.pauses,
        "paused_s": round(spell.paused_s, 1),
        "waits": waits - spell.waits,
        "waited_s": round(waited_s - spell.waited_s, 1),
    }


def _waited(budgets: Budgets, exchange: str) -> tuple[int, float]:
    """Return how often somebody had to wait since the beginning, and how long all of them together."""
    some = budgets.get(exchange, ())
    return sum(one.waits for one in some), sum(one.waited_s for one in some)
