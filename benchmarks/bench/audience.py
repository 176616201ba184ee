"""Those who watch a collector, in a process of their own: an open dashboard, and clients of `/ws`."""

import asyncio
import json
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe
from typing import TYPE_CHECKING, Self, cast

import aiohttp

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
DEPTH = 10


class Audience:
    """The handle of the process. All are connected, and each has heard something, when it is entered."""

    def __init__(self, url: str, symbols: Sequence[str], clients: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=_watch, args=(url, symbols, clients, there), daemon=True
        )
        self.events = 0  # that reached the clients of /ws, once it is left

    def __enter__(self) -> Self:
        self._process.start()
        if not self._pipe.poll(READY_TIMEOUT_S):
            self._process.kill()
            raise TimeoutError(f"not all clients were served within {READY_TIMEOUT_S:g} s")
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        if self._pipe.poll(STOP_TIMEOUT_S):
            self.events = cast("int", self._pipe.recv())
        self._process.join(STOP_TIMEOUT_S)
        self._process.kill()


def _watch(url: str, symbols: Sequence[str], clients: int, pipe: Pipe) -> None:
    asyncio.run(_Watchers(url, pipe).run(symbols, clients))


class _Watchers:
    def __init__(self, url: str, pipe: Pipe) -> None:
        self._url = url
        self._pipe = pipe
        self._events = 0

    async def run(self, symbols: Sequence[str], clients: int) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(self._url, connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            heard = [asyncio.Event() for _ in range(clients + 1)]
            tasks = [group.create_task(self._dashboard(session, symbols[0], heard[0]))]
            for number in range(clients):
                symbol = symbols[number % len(symbols)]
                tasks.append(group.create_task(self._client(session, symbol, heard[number + 1])))
            for one in heard:
                await one.wait()
            self._pipe.send("ready")
            await asyncio.to_thread(self._pipe.recv)
            for task in tasks:
                task.cancel()
        self._pipe.send(self._events)

    async def _dashboard(self, session: aiohttp.ClientSession, symbol: str, heard: asyncio.Event) -> None:
        """Do what the page does with a stream chosen: after each overview it asks for the stream's book."""
        no_limit = aiohttp.ClientTimeout(total=None)
        async with session.get("/api/stream", params={"channels": "overview"}, timeout=no_limit) as stream:
            stream.raise_for_status()
            async for line in stream.content:
                if line.startswith(b"event: overview"):
                    book = f"/api/books/{symbol.replace('/', '%2F').replace(':', '%3A')}?depth={DEPTH}"
                    async with session.get(book) as answer:
                        answer.raise_for_status()
                        await answer.read()
                    heard.set()

    async def _client(self, session: aiohttp.ClientSession, symbol: str, heard: asyncio.Event) -> None:
        async with session.ws_connect("/ws") as socket:
            for channel in ("books", "ticks"):
                await socket.send_json({"op": "subscribe", "channel": channel, "symbol": symbol})
            async for message in socket:
                told = json.loads(message.data)
                self._events += len(told)
                if not heard.is_set() and any(event["type"] == "book" for event in told):
                    heard.set()
