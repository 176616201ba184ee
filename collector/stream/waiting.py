"""Wait for one of several things, or for a time to be over."""

import asyncio
from collections.abc import Awaitable


async def first(*waits: Awaitable[object], timeout_s: float) -> None:
    """Wait for whichever comes first, at most `timeout_s`; the others are given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
