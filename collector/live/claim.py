"""Claim streams in a database that several collectors share, before they are collected."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from collector.errors import CollectorError, UserError
from collector.events.batch import StreamKey

CLAIM_PATIENCE_S = 2.0  # a database that does not answer gets the streams with their first rows

Claim = Callable[[Sequence[StreamKey]], Future[int]]


async def refusal(claim: Claim | None, keys: Sequence[StreamKey]) -> str | None:
    """Claim the streams; return why they cannot be collected, or None."""
    if claim is None:
        return None
    try:
        await asyncio.wait_for(asyncio.wrap_future(claim(keys)), CLAIM_PATIENCE_S)
    except UserError as error:
        return str(error)
    except (CollectorError, TimeoutError):
        return None
    return None
