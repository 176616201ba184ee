"""Ask for an exchange's markets until there is an answer."""

import asyncio
from collections.abc import Callable
from typing import Any

from collector.errors import StreamError
from collector.retry import Backoff
from collector.stream.attempts import NO_SUCH_HOST
from collector.stream.failures import Failure, classify
from collector.stream.markets import Markets, Source, load_markets
from collector.stream.waiting import in_thread


async def load_until(
    stopped: asyncio.Event,
    source: Source,
    timeout_s: float,
    backoff: Backoff,
    on_failure: Callable[[int, StreamError, Failure], None],
) -> Markets | None:
    """Return the markets; None when stopped before, or when asking again cannot help."""
    attempt = suspicious = 0
    while not stopped.is_set():
        loading = in_thread("markets", lambda: load_markets(source, timeout_s))
        await _either(stopped, loading)
        if loading.cancelled() or not loading.done():
            break
        try:
            return loading.result()
        except StreamError as error:
            attempt += 1
            failure = classify(error, source.exchange)
            # No network, and no misspelt name: it is the exchange's own.
            nameless = failure.cause == NO_SUCH_HOST and source.endpoints.rest is None
            suspicious = suspicious + 1 if failure.suspicious and not nameless else 0
            error.permanent = failure.stops(suspicious)
            on_failure(attempt, error, failure)
            if error.permanent:
                break
            wait_s = max(error.retry_after_s or 0.0, backoff.wait_s(attempt))
        await _either(stopped, asyncio.create_task(asyncio.sleep(wait_s)))
    return None


async def _either(stopped: asyncio.Event, waited_for: "asyncio.Future[Any]") -> None:
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({stopping, waited_for}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    waited_for.cancel()
