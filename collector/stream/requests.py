"""Match an exchange's answers with what was asked."""

import asyncio
from collections.abc import Awaitable, Callable

from collector.errors import StreamError
from collector.events.messages import Ack

Send = Callable[[dict[str, object]], Awaitable[None]]


class Requests:
    """Requests under way on one connection, by their ids."""

    def __init__(self, send: Send, timeout_s: float) -> None:
        self._send = send
        self._timeout_s = timeout_s
        self._waiting: dict[str, asyncio.Future[Ack]] = {}
        self._last_id = 0

    def new_id(self) -> str:
        """Return an id not used before on this connection."""
        self._last_id += 1
        return str(self._last_id)

    async def ask(self, request_id: str, payload: dict[str, object]) -> Ack:
        """Send a request and wait for its answer. Raises StreamError when none comes in time."""
        answer: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        try:
            await self._send(payload)
            return await asyncio.wait_for(answer, self._timeout_s)
        except TimeoutError as error:
            raise StreamError(f"no answer to {payload} within {self._timeout_s:g} s") from error
        finally:
            del self._waiting[request_id]

    def answered(self, ack: Ack) -> bool:
        """Hand an answer to whoever waits for it; False when nobody does."""
        waiting = None if ack.request_id is None else self._waiting.get(ack.request_id)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(ack)
        return True

    def abandon(self, reason: str) -> None:
        """Tell all who wait that no answer will come."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(StreamError(reason))
