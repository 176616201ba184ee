"""Keep a connection's heart beating, and give one up that does not answer."""

import asyncio
from collections.abc import Awaitable, Callable

from collector.errors import StreamError
from collector.stream.failures import Failure, gone

SILENT_HEARTBEATS = 2.0  # no frame at all for this many heartbeats: the peer is gone
TICK_S = 0.2  # how often it looks, at least


class Heart:
    """The watchdog of one socket, on the monotonic clock: ccxt's pings run on the wall clock."""

    def __init__(
        self, heartbeat_s: float, beat: Callable[[], Awaitable[None]], monotonic_s: Callable[[], float]
    ) -> None:
        self._heartbeat_s = heartbeat_s
        self._beat = beat
        self._monotonic_s = monotonic_s
        self.is_heard = True  # a sign of life came since the last look: set for each frame, hence no call

    def heard(self) -> None:
        """Note a sign of life."""
        self.is_heard = True

    async def watch(self, give_up: Callable[[Failure], None]) -> None:
        """Beat, and listen, until the peer is found silent or the task is cancelled."""
        heard_s = self._monotonic_s()
        next_beat_s = heard_s + self._heartbeat_s
        while True:
            now_s = self._monotonic_s()
            if self.is_heard:
                heard_s, self.is_heard = now_s, False
            silent_s = now_s - heard_s
            if silent_s > SILENT_HEARTBEATS * self._heartbeat_s:
                give_up(gone("silent", f"neither data nor heartbeat for {silent_s:.1f} s"))
                return
            if now_s >= next_beat_s:
                next_beat_s = now_s + self._heartbeat_s
                try:
                    await self._beat()
                except StreamError as error:
                    give_up(gone("disconnected", str(error)))
                    return
            await asyncio.sleep(min(TICK_S, self._heartbeat_s))
