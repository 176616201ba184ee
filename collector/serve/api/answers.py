"""Answer with JSON, and read the database for it."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from collector.database import Tables
from collector.query import ShortReads
from collector.serve.api import shapes

READS_AT_ONCE = 4  # of the database; more wait
Result = TypeVar("Result")

ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": shapes.ErrorShape, "description": "A question that cannot be answered as asked."},
    "5XX": {"model": shapes.ErrorShape, "description": "No answer now."},
}


def json_answer(document: object, status: int = 200) -> Response:
    """Return a document as JSON; numbers that JSON has not are null."""
    return Response(orjson.dumps(document), status, media_type="application/json")


def answers_with(model: Any) -> dict[int | str, dict[str, Any]]:
    """Describe what a route answers, for the OpenAPI document."""
    return {200: {"model": model}, **ERRORS}


class Reading:
    """Reads the database in threads, so that the server's loop goes on."""

    def __init__(self, reads: ShortReads) -> None:
        self._reads = reads
        self._turns = asyncio.Semaphore(READS_AT_ONCE)

    async def __call__(self, ask: Callable[[Any, Tables], Result]) -> Result:
        """Ask something of one transaction. Its result must not need the transaction any more."""

        def read() -> Result:
            with self._reads.reading() as (connection, tables):
                return ask(connection, tables)

        async with self._turns:
            return await run_in_threadpool(read)
