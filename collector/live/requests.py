"""Match an exchange's answers with what was asked."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from collector.errors import StreamError
from collector.events.messages import Ack
from collector.exchanges.exchange import Payload

Send = Callable[[Payload], Awaitable[None]]


@dataclass(slots=True)
class _Waiting:
    all_in: "asyncio.Future[list[Ack]]"
    expected: int
    answers: list[Ack] = field(default_factory=list)


class Requests:
    """Requests under way on one connection, by their ids."""

    def __init__(self, send: Send, timeout_s: float) -> None:
        self._send = send
        self._timeout_s = timeout_s
        self._waiting: dict[str, _Waiting] = {}
        self._last_id = 0

    def new_id(self) -> str:
        """Return an id not used before on this connection."""
        self._last_id += 1
        return str(self._last_id)

    async def ask(self, request_id: str, payload: Payload, answers: int = 1) -> list[Ack]:
        """Send a request and wait for its answers. Raises StreamError when they do not come in time."""
        waiting = self._waiting[request_id] = _Waiting(asyncio.get_running_loop().create_future(), answers)
        try:
            await self._send(payload)
            return await asyncio.wait_for(waiting.all_in, self._timeout_s)
        except TimeoutError as error:
            raise StreamError(f"no answer to {payload} within {self._timeout_s:g} s") from error
        finally:
            del self._waiting[request_id]

    def answered(self, ack: Ack) -> bool:
        """Hand an answer to whoever waits for it; False when nobody does."""
        waiting = None if ack.request_id is None else self._waiting.get(ack.request_id)
        if waiting is None or waiting.all_in.done():
            return False
        waiting.answers.append(ack)
        if len(waiting.answers) >= waiting.expected:
            waiting.all_in.set_result(waiting.answers)
        return True

    def abandon(self, reason: str) -> None:
        """Tell all who wait that no answer will come."""
        for waiting in self._waiting.values():
            if not waiting.all_in.done():
                waiting.all_in.set_exception(StreamError(reason))
