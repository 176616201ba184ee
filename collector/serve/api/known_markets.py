"""Know the markets that are collected or stored, by name."""

import asyncio
import time
from typing import Any

from collector.query import stored_streams
from collector.serve.api.answers import Reading
from collector.serve.api.documents import markets_of
from collector.serve.api.names import Market, Names
from collector.serve.api.source import Now, Source

REMEMBERED_S = 10.0  # what is stored, of which markets


class KnownMarkets:
    """The markets of a source. For the server's loop."""

    def __init__(self, source: Source, reading: Reading) -> None:
        self._source = source
        self._reading = reading
        self._lock = asyncio.Lock()  # one reads, the others wait for what it finds
        self._stored: list[dict[str, Any]] = []
        self._read_s: float | None = None

    async def stored(self) -> list[dict[str, Any]]:
        """Return the streams of which something is stored."""
        async with self._lock:
            if self._read_s is None or time.monotonic() - self._read_s > REMEMBERED_S:
                self._stored = await self._reading(stored_streams)
                self._read_s = time.monotonic()
            return self._stored

    async def all(self) -> Names:
        """Return what is collected now, and what is stored."""
        now, stored = await self.now(), await self.stored()
        return Names([*markets_of(now.streams), *(Market(one["exchange"], one["symbol"]) for one in stored)])

    async def now(self) -> Now:
        """Return the state of all streams."""
        return await self._source.now()

    async def find(self, name: str, exchange: str | None, market: str | None) -> Market:
        """Return the market meant, collected or stored; UserError names the choice."""
        return (await self.all()).find(name, exchange, market)
