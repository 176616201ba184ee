"""Ask whether these streams are ours to collect, before anything is subscribed."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from collector.errors import CollectorError, UserError
from collector.events.batch import StreamKey

PATIENCE_S = 2.0  # a database that does not answer is told of the streams with their first rows

Claim = Callable[[Sequence[StreamKey]], Future[int]]


async def refusal(claim: Claim, keys: Sequence[StreamKey]) -> str | None:
    """Claim the streams; say why they are not to be had, or None."""
    try:
        await asyncio.wait_for(asyncio.wrap_future(claim(keys)), PATIENCE_S)
    except UserError as error:
        return str(error)
    except (CollectorError, TimeoutError):
        return None
    return None
