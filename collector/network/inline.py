"""Read text frames inside aiohttp's parser: ccxt's receive loop makes a task for every frame.

aiohttp's parser hands each message to a queue, from which ccxt reads. The queue here passes text straight to
ccxt's client; everything else (pings, closing, failures) goes through ccxt's loop, and ccxt still owns the
socket. This is aiohttp's private interface: `is_offered` tries it once, and where it does not behave as
expected every frame comes through ccxt's loop.
"""

from collections.abc import Callable
from functools import cache
from types import FunctionType, MethodType
from typing import Any

import aiohttp.client
from aiohttp import WSMessage, WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader

TEXT = WSMsgType.TEXT
OVERHEAD = 128  # what aiohttp's queue counts for a message beside its bytes
_QUEUE = "WebSocketDataQueue"  # the name by which aiohttp makes the queue of a new socket
_DIAL = "_ws_connect"


class InlineQueue(WebSocketDataQueue):
    """aiohttp's queue of a socket, which passes text frames on once somebody takes them."""

    take: Callable[[Any], None] | None = None

    def feed_data(self, data: Any, size: int) -> None:
        """Pass a text frame on, and queue anything else. Must not raise: it is called by a C function."""
        take = self.take
        if take is None or data.type is not TEXT:
            super().feed_data(data, size)
        else:
            take(data)


def make_sockets_inline(session: Any) -> None:
    """Let the websockets of a session be made with our queue, and those of no other session."""
    if not is_offered() or _DIAL in vars(session):
        return
    dial = aiohttp.ClientSession._ws_connect  # noqa: SLF001
    ours = FunctionType(dial.__code__, dial.__globals__ | {_QUEUE: InlineQueue}, _DIAL, dial.__defaults__)
    ours.__kwdefaults__ = dial.__kwdefaults__
    setattr(session, _DIAL, MethodType(ours, session))


def read_inline(client: Any) -> None:
    """Have a client's frames from now on inside the parser, after those that came since the socket opened.

    To be called before ccxt's receive loop first runs: it holds no frame of its own then.
    """
    queue = getattr(client.connection, "_reader", None)
    if not isinstance(queue, InlineQueue):
        return
    waiting = queue._buffer  # noqa: SLF001
    if any(message.type not in {TEXT, WSMsgType.PING, WSMsgType.PONG} for message, _ in waiting):
        return  # it is closing: ccxt reads what is left, in order
    taken = 0
    while waiting:
        message, size = waiting.popleft()
        taken += size + OVERHEAD
        client.handle_message(message)
    if taken:  # the queue has counted these bytes, and forgets them only by being read
        waiting.append((WSMessage(WSMsgType.PONG, b"", None), taken - OVERHEAD))
    queue.take = client.handle_message


@cache
def is_offered() -> bool:
    """Try on a queue of our own whether aiohttp's parser behaves as this module needs."""
    if _QUEUE not in aiohttp.ClientSession._ws_connect.__code__.co_names:  # noqa: SLF001
        return False
    taken: list[Any] = []
    try:
        queue = InlineQueue(_Protocol(), 2**16, loop=None)  # type: ignore[arg-type]  # nothing is awaited here
        reader = WebSocketReader(queue, 2**20, compress=False, decode_text=True)
        reader.feed_data(b"\x81\x01a")
        before = len(queue._buffer)  # noqa: SLF001
        queue.take = taken.append
        reader.feed_data(b"\x81\x02bc\x89\x00\x81\x01")
        reader.feed_data(b"d")
        kinds = [message.type for message, _ in queue._buffer]  # noqa: SLF001
    except Exception:  # noqa: BLE001  (another aiohttp may raise anything; ccxt's loop reads then)
        return False
    return before == 1 and kinds == [TEXT, WSMsgType.PING] and [m.data for m in taken] == ["bc", "d"]


class _Protocol:
    """What the queue asks of its connection, for a try without one."""

    _reading_paused = False
