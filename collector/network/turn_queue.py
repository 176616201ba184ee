"""Let those who want a turn wait, in whatever thread and loop they are, and begin one at a time.

One lock guards the queue and all that the rule counts. Nobody waits for anything while he holds it.
"""

import asyncio
import itertools
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

SHORTEST_WAIT_S = 0.001  # before the rule is asked again
NOT_NEXT = math.inf  # woken when that changes


@dataclass(slots=True, eq=False)
class Waiting:
    """Somebody who waits for a turn."""

    weight: float
    priority: int
    number: int  # in the order of coming
    since_s: float
    wake: Callable[[], bool]  # false where nobody can be woken any more


class Rule(Protocol):
    """Says who is next, and when; called with the lock held."""

    def next_of(self, waiting: Sequence[Waiting], now_s: float) -> Waiting | None:
        """Return who goes next, or None while nobody may."""

    def wait_s(self, one: Waiting, now_s: float) -> float:
        """Return how long the next one has to wait still."""

    def begin(self, one: Waiting, now_s: float) -> None:
        """Count a turn that begins now."""


class TurnQueue:
    """Those who wait for a turn. For any thread."""

    def __init__(self, rule: Rule, monotonic_s: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self._rule = rule
        self._monotonic_s = monotonic_s
        self._waiting: list[Waiting] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    async def wait(self, weight: float, priority: int = 0) -> None:
        """Wait for a turn, and begin it. Cancelled, nothing has begun."""
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> bool:
            with suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(event.set)
                return True
            return False

        one = self._join(weight, priority, wake)
        try:
            while (wait_s := self._begin_s(one)) > 0.0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if wait_s == NOT_NEXT else wait_s):
                        await event.wait()
                event.clear()
        except BaseException:
            self._leave(one)
            raise

    def wait_here(self, weight: float, priority: int = 0) -> None:
        """Wait for a turn in a thread without a loop, and begin it."""
        event = threading.Event()

        def wake() -> bool:
            event.set()
            return True

        one = self._join(weight, priority, wake)
        try:
            while (wait_s := self._begin_s(one)) > 0.0:
                event.wait(None if wait_s == NOT_NEXT else wait_s)
                event.clear()
        except BaseException:
            self._leave(one)
            raise

    def look(self) -> None:
        """Wake who is next: what the rule counts has changed."""
        with self.lock:
            while (one := self._rule.next_of(self._waiting, self._monotonic_s())) is not None:
                if one.wake():
                    return
                self._waiting.remove(one)

    def _join(self, weight: float, priority: int, wake: Callable[[], bool]) -> Waiting:
        with self.lock:
            one = Waiting(weight, priority, next(self._numbers), self._monotonic_s(), wake)
            self._waiting.append(one)
            return one

    def _begin_s(self, one: Waiting) -> float:
        """Begin a turn if it may; returns how long to wait before asking again, 0 when it has begun."""
        with self.lock:
            now_s = self._monotonic_s()
            if self._rule.next_of(self._waiting, now_s) is not one:
                self.look()  # who is next by now may sleep as one who is not
                return NOT_NEXT
            wait_s = self._rule.wait_s(one, now_s)
            if wait_s > 0.0:
                return max(wait_s, SHORTEST_WAIT_S)
            self._waiting.remove(one)
            self._rule.begin(one, now_s)
            self.look()
            return 0.0

    def _leave(self, one: Waiting) -> None:
        with self.lock:
            if one in self._waiting:
                self._waiting.remove(one)
            self.look()
