"""Share an exchange's request limit between all who ask, and never ask for more than it grants.

The published weights and limits are the starting point; what the exchange itself reports (the weight used
in this minute) and asks for (Retry-After) counts more. Time comes in as an argument of the clock given.
"""

import asyncio
import time
from collections.abc import Callable

SHARE = 0.5  # of the published limit: others behind the same address have a right to the rest
REFUSED_PAUSE_S = 60.0  # after a refusal that does not say for how long
LEAST_SHARE = SHARE / 8.0  # each refusal halves what is used, down to this
GROWS_AFTER_S = 300.0  # without a refusal: what is used doubles, up to the whole share


class Budget:
    """A bucket of request weight that refills steadily. Those who wait are served in order."""

    def __init__(self, weight_a_minute: float, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._limit = weight_a_minute
        self._share = SHARE
        self._left = self._most
        self._monotonic_s = monotonic_s
        self._changed_s = monotonic_s()  # when the share last changed, or was refused
        self._counted_s = monotonic_s()
        self._closed_until_s = 0.0
        self._turn = asyncio.Lock()

    async def spend(self, weight: float) -> None:
        """Wait until so much weight may be used, and use it."""
        async with self._turn:
            while (wait_s := self.wait_s(weight)) > 0:  # noqa: ASYNC110  (a known moment, no event)
                await asyncio.sleep(wait_s)
            self._left -= weight

    def wait_s(self, weight: float) -> float:
        """Return how long one who wants so much weight has to wait now."""
        now_s = self._monotonic_s()
        if self._share < SHARE and now_s - max(self._changed_s, self._closed_until_s) > GROWS_AFTER_S:
            self._share, self._changed_s = self._share * 2.0, now_s
        refill_a_second = self._limit * self._share / 60.0
        self._left = min(self._most, self._left + (now_s - self._counted_s) * refill_a_second)
        self._counted_s = now_s
        missing = min(weight, self._most) - self._left  # more than the bucket holds: a full one must do
        return max(self._closed_until_s - now_s, missing / refill_a_second, 0.0)

    def used(self, weight_this_minute: float) -> None:
        """Mind what the exchange says was used by all behind this address."""
        self._left = min(self._left, max(0.0, self._limit - weight_this_minute) * SHARE)

    def refused(self, retry_after_s: float | None) -> float:
        """Stop asking for as long as the exchange wants, and ask for less then; returns for how long."""
        pause_s = REFUSED_PAUSE_S if retry_after_s is None else max(retry_after_s, 1.0)
        self._closed_until_s = max(self._closed_until_s, self._monotonic_s() + pause_s)
        self._left = 0.0
        self._share = max(LEAST_SHARE, self._share / 2.0)
        self._changed_s = self._monotonic_s()
        return pause_s

    @property
    def _most(self) -> float:
        """Tell how much the bucket holds: half a minute's worth."""
        return self._limit * self._share / 2.0
