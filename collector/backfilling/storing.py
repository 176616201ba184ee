"""Commit what REST brings, page by page: its rows and how far it reaches, in one transaction."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from collector.backfilling.filling import Filling
from collector.backfilling.pages import Portion
from collector.buffer import Buffer
from collector.errors import SinkError
from collector.events import Batch
from collector.loggers import get_logger
from collector.retry import Backoff
from collector.sinks import Receipt, WriteSet
from collector.writer import Preparation

PATIENCE_S = 300.0  # with a database that is away
RETRY = Backoff(0.5, 15.0)

log = get_logger(__name__)


class Writes(Protocol):
    """Stores a write set, and returns when it is safe; a sink does, or who writes for one."""

    def write(self, write_set: WriteSet) -> Receipt:
        """Store the write set once. Raises SinkError."""


class Storing:
    """Writes what several fillings put into one buffer. Its sink is used by a thread of its own."""

    def __init__(
        self, buffer: Buffer, preparation: Preparation, sink: Writes, now_ns: Callable[[], int]
    ) -> None:
        self._buffer = buffer
        self._preparation = preparation
        self._sink = sink
        self._now_ns = now_ns
        self._writer = ThreadPoolExecutor(1, "backfill writer")
        self._in_order = asyncio.Lock()
        self._failed: SinkError | None = None

    async def put(self, filling: Filling, portion: Portion) -> None:
        """Commit a portion."""
        filling.take(portion, self._now_ns())
        await self._commit()

    async def end(self, filling: Filling) -> None:
        """Commit that a filling is over."""
        filling.end()
        await self._commit()

    async def call(self, work: Callable[[], Any]) -> None:
        """Do something else with the sink, in its thread."""
        await asyncio.get_running_loop().run_in_executor(self._writer, work)

    def close(self) -> None:
        """End the thread, once what it writes is written."""
        self._writer.shutdown()

    async def _commit(self) -> None:
        async with self._in_order:
            loop = asyncio.get_running_loop()
            # A commit that has begun comes to its end, whoever does not wait for it any more.
            await asyncio.shield(loop.run_in_executor(self._writer, self._write, self._buffer.swap()))

    def _write(self, batch: Batch) -> None:
        if self._failed is not None:  # what came before is not stored: nothing after it may be
            raise self._failed
        for write_set in self._preparation.write_sets(batch, extend_alive=True):
            self._insist(write_set)

    def _insist(self, write_set: WriteSet) -> None:
        """Write, again and again while the database is away for a moment: a batch is stored once."""
        until_s, attempt = time.monotonic() + PATIENCE_S, 0
        while True:
            try:
                self._sink.write(write_set)
            except SinkError as error:
                if not error.transient or time.monotonic() > until_s:
                    self._failed = error
                    raise
                log.warning("backfill.database_away", error=str(error))
                time.sleep(RETRY.wait_s(attempt))
                attempt += 1
            else:
                return
