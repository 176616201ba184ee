"""Replace a connection before its exchange ends it, so that no hole appears."""

import asyncio
import time
from collections.abc import Callable

from collector.live.connection import Connection
from collector.live.connections import Connections
from collector.streams import PairedStream, Stream

USED_LIFETIME = 0.95  # of what a connection may live: time enough to bring up another
HAND_OVER_S = 60.0  # then a stream that is fed, and never in step, begins a segment of its own
MOST_S = 600.0  # then the old connection is left also where the new one does not bring a stream yet
HAND_OVER_TICK_S = 0.05
RETRY_S = 60.0  # after a replacement that came to nothing; doubled each time
MOST_RETRY_S = 3600.0
PAUSE_S = 30.0  # before a new connection is replaced as well, because its server goes down too


def is_aged(connection: Connection, lifetime_s: float | None) -> bool:
    """Return whether a connection should be replaced: its exchange cuts it at `lifetime_s`."""
    return lifetime_s is not None and connection.age_s > lifetime_s * USED_LIFETIME


class Replacements:
    """Replaces the connections of one exchange, each when it is due. Lives in the websocket thread's loop.

    `make_standby` makes a second stream, which stores nothing until it follows the first.
    """

    def __init__(
        self,
        connections: Connections,
        make_standby: Callable[[Stream], Stream],
        stopped: asyncio.Event,
        lifetime_s: float | None,
    ) -> None:
        self._connections = connections
        self._make_standby = make_standby
        self._stopped = stopped
        self._lifetime_s = lifetime_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._not_before_s: dict[Connection, float] = {}
        self._not_told_before_s: dict[Connection, float] = {}
        self._failed: dict[Connection, int] = {}  # how often in a row

    def look(self) -> None:
        """Begin to replace what is due."""
        present = self._connections.connections
        now_s = time.monotonic()
        for known in (self._not_before_s, self._not_told_before_s, self._failed):
            for gone in known.keys() - present:
                del known[gone]
        for connection in list(present):
            if not connection.is_leaving and self._is_due(connection, now_s):
                connection.is_leaving = True
                task = asyncio.ensure_future(self._replace(connection))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _is_due(self, connection: Connection, now_s: float) -> bool:
        ends = is_aged(connection, self._lifetime_s) or (
            connection.ends_soon and now_s >= self._not_told_before_s.get(connection, 0.0)
        )
        return ends and now_s >= self._not_before_s.get(connection, 0.0)

    async def ended(self) -> None:
        """Wait until none is under way, once everything was asked to stop."""
        await asyncio.gather(*self._tasks)

    async def _replace(self, old: Connection) -> None:
        """Start a second connection beside one, and stop the first when nothing is missed by that."""
        pairs: dict[PairedStream, PairedStream] = {}
        for stream in old.subscriptions.streams:
            standby = self._make_standby(stream)
            assert isinstance(stream, PairedStream)  # noqa: S101  (every kind is one)
            assert isinstance(standby, PairedStream)  # noqa: S101
            pairs[stream] = standby
        new = self._connections.new_beside(old, list(pairs.values()))
        for stream, standby in pairs.items():
            standby.follow(stream, new.liveness)
        self._connections.start()
        is_replaced = await self._hand_over(old, new, pairs)
        if self._stopped.is_set():
            return
        left = old if is_replaced else new
        self._connections.retire(left)  # first: a stream goes on where the other one left off
        for stream in pairs if is_replaced else pairs.values():
            stream.leave()
        old.is_leaving = new.is_leaving = False
        now_s = time.monotonic()
        if is_replaced:
            self._not_told_before_s[new] = now_s + PAUSE_S
        else:
            failed = self._failed[old] = self._failed.get(old, 0) + 1
            self._not_before_s[old] = now_s + min(RETRY_S * 2 ** (failed - 1), MOST_RETRY_S)

    async def _hand_over(
        self, old: Connection, new: Connection, pairs: dict[PairedStream, PairedStream]
    ) -> bool:
        """Wait until the new connection brings everything; False when the old one is to stay."""
        began_s = time.monotonic()
        while not (self._stopped.is_set() or new.stopping or new.refusal is not None):
            on_old, on_new = set(old.subscriptions.streams), set(new.subscriptions.streams)
            waiting = [
                standby
                for stream, standby in pairs.items()
                if stream in on_old and standby in on_new and not standby.in_step()
            ]
            waited_s = time.monotonic() - began_s
            if not waiting:
                return True
            if old.age_s == 0.0 or waited_s > MOST_S:  # it was cut, and does what it can by itself
                return new.age_s > 0.0
            if waited_s > HAND_OVER_S:
                for standby in waiting:
                    standby.stand_in(old.liveness.heard_ns)
            await new.next_frame(HAND_OVER_TICK_S)
        return False
