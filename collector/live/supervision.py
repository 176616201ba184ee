"""Look after the connections of one exchange from time to time, and compare its books with REST."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from collector.live.connections import Connections
from collector.live.replacement import Replacements
from collector.live.rest_witness import RestWitness
from collector.streams import BookStream, Stream

SUPERVISE_S = 0.5


async def supervise(
    connections: Connections,
    witness: RestWitness | None,
    standby: Callable[[Stream], Stream],
    lifetime_s: float | None,
    stopped: asyncio.Event,
) -> None:
    """Replace each connection before the exchange cuts it, and compare books with REST, until stopped."""
    replacements = Replacements(connections, standby, stopped, lifetime_s)
    while not stopped.is_set():
        replacements.look()
        if witness is not None:
            witness.look([one for one in connections.streams if isinstance(one, BookStream)])
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), SUPERVISE_S)
    await replacements.ended()
