"""Match an exchange's answers with the requests that wait for them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from collector.errors import StreamError
from collector.events import Ack, State
from collector.exchanges import Payload
from collector.live.context import ConnectionContext
from collector.network import Failure, mistaken

Send = Callable[[Payload], Awaitable[None]]


@dataclass(slots=True)
class _Waiting:
    all_answers: "asyncio.Future[list[Ack]]"
    expected: int
    answers: list[Ack] = field(default_factory=list)


class Requests:
    """The requests under way on one connection, by their ids."""

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
        """Send a request and wait for its answers. Raises StreamError when they do not come in time.

        A refusal that names no topic stands for all the answers that are missing.
        """
        waiting = self._waiting[request_id] = _Waiting(asyncio.get_running_loop().create_future(), answers)
        try:
            await self._send(payload)
            return await asyncio.wait_for(waiting.all_answers, self._timeout_s)
        except TimeoutError as error:
            raise StreamError(f"no answer to {payload} within {self._timeout_s:g} s") from error
        finally:
            del self._waiting[request_id]
            if waiting.all_answers.done() and not waiting.all_answers.cancelled():
                waiting.all_answers.exception()  # seen: it was abandoned while it was being sent

    def answered(self, ack: Ack) -> bool:
        """Match an answer with the request that waits for it; False when none does."""
        waiting = self._refused(ack) if ack.request_id is None else self._waiting.get(ack.request_id)
        if waiting is None or waiting.all_answers.done():
            return False
        waiting.answers.append(ack)
        is_about_all = not ack.accepted and ack.topic is None
        if is_about_all or len(waiting.answers) >= waiting.expected:
            waiting.all_answers.set_result(waiting.answers)
        return True

    def _refused(self, ack: Ack) -> _Waiting | None:
        """Return the request that a refusal without an id is about: answers come in order, so the oldest."""
        waiting = (one for one in self._waiting.values() if not one.all_answers.done())
        return None if ack.accepted else next(waiting, None)

    def abandon(self, reason: str) -> None:
        """Fail all requests that wait: no answer will come."""
        for waiting in self._waiting.values():
            if not waiting.all_answers.done():
                waiting.all_answers.set_exception(StreamError(reason))


@dataclass(frozen=True, slots=True)
class ControlMessages:
    """What frames hold besides market data: answers, the exchange's own state, mistakes of ours."""

    context: ConnectionContext
    requests: Requests
    give_up: Callable[[Failure], None]  # of the socket
    on_pong: Callable[[], None] = lambda: None  # of its heart

    def on_ack(self, ack: Ack) -> bool:
        """Match an answer with its request; False when none waits for it."""
        return self.requests.answered(ack)

    def on_status(self, state: State, text: str) -> None:
        """Publish the state that the exchange reports of itself."""
        if state is State.SHUTTING_DOWN:
            self.context.ends_soon.set()
        self.context.publish(state, text)

    def on_mistake(self, what: str) -> None:
        """Give the socket up after a fault of ours: what its frame meant is not known."""
        self.give_up(mistaken(what))
