"""Do something again after each fault of ours, so that it ends when asked to and never by itself."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from collector.network import STABLE_AFTER_S, mistake_in_words, wait_for_first
from collector.retry import Backoff

LEAST_WAIT_S = 0.1


async def insist(
    work: Callable[[], Awaitable[None]],
    stopped: asyncio.Event,
    backoff: Backoff,
    on_fault: Callable[[str], None],
) -> None:
    """Do the work until it is done or `stopped` is set; after an error report that, wait, and do it again."""
    failures = 0
    while not stopped.is_set():
        began_s = time.monotonic()
        try:
            await work()
        except Exception as error:  # noqa: BLE001  (whatever it is, it must cost nobody else anything)
            failures = 1 if time.monotonic() - began_s > STABLE_AFTER_S else failures + 1
            on_fault(mistake_in_words(error))
            wait_s = max(LEAST_WAIT_S, backoff.wait_s(failures - 1))
            await wait_for_first(stopped.wait(), timeout_s=wait_s)
        else:
            return
