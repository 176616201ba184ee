"""Replace a connection before its exchange cuts it, so that no hole appears."""

import asyncio
import time
from collections.abc import Callable

from collector.live.connection import Connection
from collector.live.connections import Connections
from collector.streams.stream import Stream

USED_LIFETIME = 0.95  # of what a connection may live: time enough to bring up another
HAND_OVER_S = 60.0
HAND_OVER_TICK_S = 0.05


def is_old(connection: Connection, lifetime_s: float | None) -> bool:
    """Return whether a connection should be replaced: its exchange cuts it at `lifetime_s`."""
    return lifetime_s is not None and connection.age_s > lifetime_s * USED_LIFETIME


async def replace(
    old: Connection,
    connections: Connections,
    make_standby: Callable[[Stream], Stream],
    stopped: asyncio.Event,
) -> None:
    """Start a second connection beside one, move each stream over to it, stop the first.

    A stream is moved when both books stand at the same update. `make_standby` makes a second stream that
    stores nothing yet.
    """
    old.is_leaving = True
    standbys = {stream: make_standby(stream) for stream in old.subscriptions.streams}
    new = connections.new(old.address.kind, old.address.url, list(standbys.values()))
    connections.start()
    waiting = set(standbys)
    deadline_s = time.monotonic() + HAND_OVER_S
    while waiting and time.monotonic() < deadline_s and not stopped.is_set():
        waiting &= set(old.subscriptions.streams)  # some may be wanted no longer
        waiting -= {stream for stream in waiting if standbys[stream].take_over(stream, new.liveness)}
        if new.stopping or new.refusal is not None:  # the old one serves until it is cut
            connections.retire(new)
            old.is_leaving = False
            return
        if waiting:
            await new.next_frame(HAND_OVER_TICK_S)
    for stream in waiting:
        standbys[stream].stand_in(stream, old.liveness.heard_ns)
    connections.retire(old)
