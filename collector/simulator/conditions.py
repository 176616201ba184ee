"""The distance of an exchange: what is on its way arrives later, in order, never quite as late as before."""

import asyncio
import random
from collections import deque
from collections.abc import Callable

_MOST_JITTERS = 10.0


class Conditions:
    """The delays between one exchange and its clients. Drawn from a seed."""

    def __init__(self, seed: str) -> None:
        self.latency_ms = 0.0
        self.jitter_ms = 0.0
        # What a REST server takes for one answer; it makes one after the other.
        self.service_ms = 0.0
        self._draws = random.Random(seed)  # noqa: S311  (repeatable delays)

    def delay_s(self) -> float:
        """Draw how long something is on its way: never below the latency, now and then far above."""
        if not self.jitter_ms:
            return self.latency_ms / 1000
        jitters = min(self._draws.expovariate(1.0), _MOST_JITTERS)
        return (self.latency_ms + self.jitter_ms * jitters) / 1000


class Way:
    """Carries actions one way: each happens after its delay, none overtakes another."""

    def __init__(self, delay_s: Callable[[], float]) -> None:
        self.last_due_s = 0.0
        self._delay_s = delay_s
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, action: Callable[[], None]) -> None:
        """Let an action happen at the other end; at once where there is no distance."""
        delay_s = self._delay_s()
        if not delay_s and not self._waiting:
            action()
            return
        self.last_due_s = max(self.last_due_s, asyncio.get_running_loop().time() + delay_s)
        self._waiting.append((self.last_due_s, action))
        self._set_timer()

    def end(self) -> None:
        """Let all that is on its way happen now: it finds the other end gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._waiting.popleft()[1]()

    def _set_timer(self) -> None:
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._waiting[0][0], self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0][0] <= now_s:
            _, action = self._waiting.popleft()
            action()
        self._set_timer()
