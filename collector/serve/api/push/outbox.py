"""Hold what waits for one client: bounded, the oldest goes first, and the client is told how many went."""

import asyncio
from collections import deque
from typing import NamedTuple

import orjson

MOST_WAITING = 1_000  # events; what a client that reads has never more than a few of
MOST_BYTES = 2_000_000
AT_ONCE_BYTES = 65_536  # of what waits, handed over together


class Message(NamedTuple):
    """An event, and its JSON."""

    event: str
    text: bytes

    @classmethod
    def of(cls, event: str, document: dict[str, object]) -> "Message":
        """Make one; `type` says in the JSON what it is."""
        return cls(event, orjson.dumps({"type": event, **document}))


class Outbox:
    """The queue of one client. For the server's loop alone."""

    def __init__(self, most: int = MOST_WAITING, most_bytes: int = MOST_BYTES) -> None:
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._most = most
        self._most_bytes = most_bytes
        self._filled = asyncio.Event()
        self._lost = 0
        self.lost = 0  # altogether

    def put(self, message: Message) -> None:
        """Queue an event; the oldest go where there is no room. Never waits."""
        self._waiting.append(message)
        self._bytes += len(message.text)
        while len(self._waiting) > self._most or (self._bytes > self._most_bytes and len(self._waiting) > 1):
            self._bytes -= len(self._waiting.popleft().text)
            self._lost += 1
            self.lost += 1
        self._filled.set()

    async def take(self) -> list[Message]:
        """Wait for events and return them, after how many were lost before them."""
        await self._filled.wait()
        taken: list[Message] = []
        size = 0
        if self._lost:
            taken.append(Message.of("lost", {"count": self._lost}))
            self._lost = 0
        while self._waiting and size < AT_ONCE_BYTES:
            message = self._waiting.popleft()
            size += len(message.text)
            taken.append(message)
        self._bytes -= size
        if not self._waiting:
            self._filled.clear()
        return taken
