"""Compare silent books with REST, one request a second: what a request weighs there is not known."""

import asyncio
from collections.abc import Callable
from typing import Any

from collector.exchanges.exchange import Rate
from collector.network.pacing import Pacer
from collector.streams.book_stream import BookStream

REQUESTS = Rate(1, 1.0)
GRACE_S = 1.0  # what REST shows already may still be on its way


class RestChecks:
    """The comparisons with REST of one connection."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._pacer = Pacer([REQUESTS], monotonic_s)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, stream: BookStream, exchange: Any, on_stale: Callable[[str, str], None]) -> None:
        """Compare a silent book with what ccxt fetches by REST; call `on_stale` where that is another."""
        task = asyncio.create_task(self._check(stream, exchange, on_stale))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Cancel the comparisons under way."""
        for task in self._tasks:
            task.cancel()

    async def _check(self, stream: BookStream, exchange: Any, on_stale: Callable[[str, str], None]) -> None:
        silent_since_ns = stream.last_update_at_ns
        await asyncio.sleep(self._pacer.reserve_s())
        try:
            fetched = await exchange.fetch_order_book(stream.key.symbol)
        except Exception:  # noqa: BLE001  (no answer is no proof of anything; it is asked again later)
            return
        await asyncio.sleep(GRACE_S)
        has_both_sides = fetched["bids"] and fetched["asks"]
        if stream.last_update_at_ns != silent_since_ns or not stream.verified or not has_both_sides:
            return
        theirs = (*map(float, fetched["bids"][0][:2]), *map(float, fetched["asks"][0][:2]))
        if stream.top() != theirs:
            on_stale(stream.key.symbol, f"silent, and REST has {theirs}")
