"""Share what may be asked of a REST host among all who ask, in whatever thread and loop they are."""

import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from collector.exchanges import RequestLimits, Told
from collector.network.allowance import Allowance, Need
from collector.network.turn_queue import TurnQueue

LONG_WAIT_S = 10.0  # is told
QUIET_S = 600.0  # without one, before a long wait is told again
LATER_S = 1.0  # an end that is put off by more is told again


@dataclass(frozen=True, slots=True)
class BudgetNow:
    """The state of a budget."""

    used_share: float  # of what the fullest bucket holds; 1 while the exchange refuses
    closed_for_s: float
    cause: str  # of the last refusal
    waiting: int
    waits: int  # turns that had to wait, since the beginning
    waited_s: float  # all of them together


@dataclass(frozen=True, slots=True)
class BudgetClosed:
    """The exchange refused: nothing is asked for so long."""

    for_s: float
    cause: str


@dataclass(frozen=True, slots=True)
class LongWait:
    """A turn had to wait long for want of budget; told once, and again after a time without one."""

    need: Need
    waited_s: float
    waiting: int  # others that wait still


BudgetNews = BudgetClosed | LongWait
Listener = Callable[[BudgetNews], None]  # called in any thread; must neither block nor raise


class Budget:
    """What may be asked of one REST host. For any thread and any loop; nobody waits for its lock long."""

    def __init__(self, limits: RequestLimits, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._allowance = Allowance(limits, monotonic_s())
        self._queue = TurnQueue(self._allowance, monotonic_s)
        self._lock = self._queue.lock  # guards all that follows, and the allowance
        self._cause = ""
        self._waits, self._waited_s = 0, 0.0
        self._long_wait_s = monotonic_s() - QUIET_S  # when one was last seen
        self._listeners: list[Listener] = []

    @asynccontextmanager
    async def turn(self, weight: float, need: Need) -> AsyncGenerator[None]:
        """Wait for a turn, and hold it while the request is under way.

        Who is cancelled while he waits has taken none; a request that is broken off was sent, and counts.
        """
        asked_s = self._ask(weight, need)
        await self._queue.wait(weight, need)
        try:
            self._began(need, asked_s)
            yield
        finally:
            self._end(weight)

    @contextmanager
    def turn_here(self, weight: float, need: Need) -> Generator[None]:
        """Do the same in a thread without a loop, which is held up."""
        asked_s = self._ask(weight, need)
        self._queue.wait_here(weight, need)
        try:
            self._began(need, asked_s)
            yield
        finally:
            self._end(weight)

    def has_time_for(self, weight: float) -> bool:
        """Return whether a request could go out now, with as much left for a book that is needed more."""
        with self._lock:
            is_free = self._allowance.free_in_s(2 * weight, 2, self._monotonic_s()) <= 0.0
            return is_free and not len(self._queue)

    def told(self, told: Told) -> None:
        """Heed what an answer says of all requests behind our address."""
        with self._lock:
            self._allowance.told(told, self._monotonic_s())

    def refused(self, retry_after_s: float | None, cause: str) -> float:
        """Pause for as long as the exchange wants, and use less afterwards; returns for how long."""
        with self._lock:
            now_s, before_s = self._monotonic_s(), self._allowance.closed_until_s
            pause_s = self._allowance.refused(retry_after_s, now_s)
            is_news = now_s + pause_s > max(before_s, now_s) + LATER_S or now_s >= before_s
            self._cause = cause
        if is_news:
            self._tell(BudgetClosed(pause_s, cause))
        return pause_s

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell somebody what happens; returns how to end that."""
        with self._lock:
            self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def now(self) -> BudgetNow:
        """Return the state now."""
        with self._lock:
            used_share, closed_for_s = self.used_share, self.closed_for_s
            return BudgetNow(
                used_share, closed_for_s, self._cause, len(self._queue), self._waits, self._waited_s
            )

    @property
    def used_share(self) -> float:
        """Return how much of what the fullest bucket holds is used now; 1 while the exchange refuses us."""
        with self._lock:
            return self._allowance.used_share(self._monotonic_s())

    @property
    def closed_for_s(self) -> float:
        """Return for how long nothing may be asked: the exchange refused us."""
        return max(0.0, self._allowance.closed_until_s - self._monotonic_s())

    def _ask(self, weight: float, need: Need) -> float:
        with self._lock:
            self._allowance.expect(weight, need)
            return self._monotonic_s()

    def _began(self, need: Need, asked_s: float) -> None:
        """Count how long a turn had to wait, and tell what is news in it."""
        is_news = False
        with self._lock:
            now_s = self._monotonic_s()
            waited_s, waiting = now_s - asked_s, len(self._queue)
            if waited_s > 0.0:
                self._waits += 1
                self._waited_s += waited_s
            # What a refusal held up was told with it.
            if waited_s >= LONG_WAIT_S and asked_s >= self._allowance.closed_until_s:
                is_news = now_s - self._long_wait_s >= QUIET_S
                self._long_wait_s = now_s
        if is_news:
            self._tell(LongWait(need, waited_s, waiting))

    def _end(self, weight: float) -> None:
        with self._lock:
            self._allowance.end(weight, self._monotonic_s())
        self._queue.look()

    def _tell(self, news: BudgetNews) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(news)
