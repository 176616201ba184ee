"""Offer a limiter of requests to programs of the user's own: several windows at once, tasks and threads."""

import time
from collections.abc import Callable, Sequence

from collector.network.turn_queue import TurnQueue, Waiting
from collector.network.windows import Window


class _Turn:
    """A block, for `async with` or `with`, that begins when there is room for its weight."""

    def __init__(self, queue: TurnQueue, weight: float) -> None:
        self._queue = queue
        self._weight = weight

    async def __aenter__(self) -> None:
        """Wait for a turn, and begin it. Cancelled, nothing has begun."""
        await self._queue.wait(self._weight)

    async def __aexit__(self, *_error: object) -> None:
        """Do nothing: the turn was counted when it began."""

    def __enter__(self) -> None:
        """Wait for a turn in a thread without a loop, and begin it."""
        self._queue.wait_here(self._weight)

    def __exit__(self, *_error: object) -> None:
        """Do nothing: the turn was counted when it began."""


class RateLimiter(_Turn):
    """Let at most so many requests begin in any span of time, in the order in which they were asked for.

    `RateLimiter((10, 1.0), (100, 60.0))` lets 10 begin in any second, and 100 in any minute. One limiter
    serves any number of tasks and threads: `async with limiter:` in a loop, `with limiter:` in a thread
    without one, `async with limiter.turn(5):` for what weighs 5. A turn counts when its block is entered.
    """

    def __init__(
        self, *limits: tuple[float, float], monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        if not limits or not all(map(_is_limit, limits)):
            raise ValueError(f"limits of (at least 1, in a span above 0 s) expected, found {limits}")
        self._most = min(most for most, _ in limits)
        super().__init__(TurnQueue(_InOrder([Window(*limit) for limit in limits]), monotonic_s), 1.0)

    def turn(self, weight: float) -> _Turn:
        """Return a block, for `async with` or `with`, that begins when there is room for so much weight."""
        if not 0 < weight <= self._most:
            raise ValueError(f"a weight above 0 and of at most {self._most:g} expected, found {weight:g}")
        return _Turn(self._queue, weight)

    @property
    def waiting(self) -> int:
        """Return how many wait for a turn."""
        return len(self._queue)


class _InOrder:
    """The rule of a limiter: first come, first served."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = windows

    def next_of(self, waiting: Sequence[Waiting], now_s: float) -> Waiting | None:
        """Return who came first."""
        del now_s
        return waiting[0] if waiting else None

    def wait_s(self, one: Waiting, now_s: float) -> float:
        """Return how long until all windows have room."""
        return max(window.free_at_s(one.weight, now_s) for window in self._windows) - now_s

    def begin(self, one: Waiting, now_s: float) -> None:
        """Count the turn from now on."""
        for window in self._windows:
            window.begin(one.weight)
            window.end(one.weight, now_s)


def _is_limit(limit: object) -> bool:
    match limit:
        case (int() | float() as most, int() | float() as span_s):
            return most >= 1 and span_s > 0
    return False
