"""Read many frames in one turn of the loop where they come fast: a turn costs more than a frame.

Above a rate the loop sleeps between two turns, and what came meanwhile is read at once. A receipt time says
when we read, so it may be late by as much as the sleep; the sockets keep what comes.
"""

import asyncio
import time
from collections.abc import Callable

from collector.network import wait_for_first

LOOK_S = 0.25
FRAMES_A_NAP = 4.0  # fewer are read one by one: a nap would save little
STAYS_AT = 0.5  # of that rate: naps once begun go on down to here


class Coalescing:
    """Puts the loop to sleep between turns while frames come fast and nobody waits for each."""

    def __init__(
        self, nap_s: float, frames: Callable[[], int], is_awaited: Callable[[], bool], stopped: asyncio.Event
    ) -> None:
        self._nap_s = nap_s
        self._frames = frames  # so far
        self._is_awaited = is_awaited  # by somebody in this process, so that each frame is to wake the loop
        self._stopped = stopped
        self.is_napping = False

    async def run(self) -> None:
        """Look at the rate, until stopped."""
        loop = asyncio.get_running_loop()
        seen, seen_s = self._frames(), time.monotonic()
        while self._nap_s > 0 and not self._stopped.is_set():
            await wait_for_first(self._stopped.wait(), timeout_s=LOOK_S)
            now, now_s = self._frames(), time.monotonic()
            is_fast = is_fast_enough((now - seen) / (now_s - seen_s), self._nap_s, self.is_napping)
            seen, seen_s = now, now_s
            was_napping, self.is_napping = self.is_napping, is_fast and not self._is_awaited()
            if self.is_napping and not was_napping:
                loop.call_soon(self._nap, loop)

    def _nap(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.is_napping and not self._stopped.is_set():
            time.sleep(self._nap_s)
            loop.call_soon(self._nap, loop)  # after the sockets were read


def is_fast_enough(a_second: float, nap_s: float, is_napping: bool) -> bool:
    """Return whether frames come fast enough for naps to pay."""
    return a_second * nap_s >= FRAMES_A_NAP * (STAYS_AT if is_napping else 1.0)
