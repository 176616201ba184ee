"""Ask REST whether a silent market is quiet, one question a second: nobody knows what a request weighs."""

import asyncio
from collections.abc import Callable
from typing import Any

from collector.exchanges.exchange import Rate
from collector.network.pacing import Pacer
from collector.streams.book_stream import BookStream

QUESTIONS = Rate(1, 1.0)
GRACE_S = 1.0  # what REST shows already may still be on its way


class Questions:
    """What one connection asks of REST."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._pacer = Pacer([QUESTIONS], monotonic_s)
        self._asked: set[asyncio.Task[None]] = set()

    def ask(self, stream: BookStream, exchange: Any, on_stale: Callable[[str, str], None]) -> None:
        """Compare a silent book with what ccxt fetches by REST; tell when that is another."""
        task = asyncio.create_task(self._ask(stream, exchange, on_stale))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    def give_up(self) -> None:
        """Wait for no answer any more."""
        for task in self._asked:
            task.cancel()

    async def _ask(self, stream: BookStream, exchange: Any, on_stale: Callable[[str, str], None]) -> None:
        silent_since_ns = stream.last_news_at_ns
        await asyncio.sleep(self._pacer.reserve_s())
        try:
            told = await exchange.fetch_order_book(stream.key.symbol)
        except Exception:  # noqa: BLE001  (no answer is no proof of anything; it is asked again later)
            return
        await asyncio.sleep(GRACE_S)
        whole = told["bids"] and told["asks"]
        if stream.last_news_at_ns != silent_since_ns or not stream.verified or not whole:
            return
        theirs = (*map(float, told["bids"][0][:2]), *map(float, told["asks"][0][:2]))
        if stream.top() != theirs:
            on_stale(stream.key.symbol, f"silent, and REST has {theirs}")
