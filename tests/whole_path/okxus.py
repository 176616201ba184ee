"""A small OKX US on loopback, as https://www.okx.com/docs-v5 documents it: instruments, `books`, ping.

Nobody wrote a folder for OKX US: it stands for every exchange that ccxt.pro knows and the collector does not.
"""

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from aiohttp import ClientConnectionResetError, WSMsgType, web

LEVELS = 40
BOOKS = "books"
State = tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]  # bids and asks, best first


class Book:
    """One market: each step changes a few sizes and, now and then, the touch."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.random = random.Random(seed)
        self.bids = {1000 - n: self.size() for n in range(1, LEVELS + 1)}
        self.asks = {1000 + n: self.size() for n in range(1, LEVELS + 1)}
        self.sequence = 100
        self.states: dict[int, State] = {}
        self.sent = 0  # messages on the wire, snapshots too
        self.stalled = self.skips = self.falls = self.crosses = False
        self.crossed: int | None = None  # the bid that stands at the best ask, until the next step
        self.keep()

    def size(self) -> int:
        return self.random.randint(1, 10_000)

    def keep(self) -> None:
        bids = tuple((float(price), self.bids[price] / 100) for price in sorted(self.bids, reverse=True))
        asks = tuple((float(price), self.asks[price] / 100) for price in sorted(self.asks))
        self.states[self.sequence] = bids, asks

    def step(self) -> dict[str, Any]:
        """Change the book; returns what the exchange tells of it."""
        before = self.sequence
        self.sequence += self.random.randint(1, 5)  # not one by one: only `prevSeqId` joins them
        if self.falls:
            self.falls = False
            self.sequence = 10
        bids = dict.fromkeys(self.random.sample(sorted(self.bids)[:-1], 2), 0)
        asks = dict.fromkeys(self.random.sample(sorted(self.asks)[1:], 2), 0)
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price in changes:
                changes[price] = self.size()
            side.update(changes)
        if self.random.random() < 0.3:  # the best ask goes, and comes back
            price = min(self.asks)
            self.asks.pop(price)
            asks[price] = 0
            while len(self.asks) < LEVELS:
                new = max(self.asks) + 1
                self.asks[new] = asks[new] = self.size()
        if self.crossed is not None:
            bids[self.crossed] = 0
            del self.bids[self.crossed]
            self.crossed = None
        elif self.crosses:
            self.crosses = False
            self.crossed = min(self.asks)
            self.bids[self.crossed] = bids[self.crossed] = self.size()
        self.keep()
        return self.told(bids, asks, before)

    def told(self, bids: dict[int, int], asks: dict[int, int], previous: int) -> dict[str, Any]:
        return {
            "asks": [[str(price), str(size / 100), "0", "1"] for price, size in asks.items()],
            "bids": [[str(price), str(size / 100), "0", "1"] for price, size in bids.items()],
            "ts": str(time.time_ns() // 1_000_000),
            "checksum": 0,
            "prevSeqId": previous,
            "seqId": self.sequence,
        }


class Okxus:
    """The exchange: REST and websocket on one port, in a loop of its own."""

    def __init__(self, names: list[str]) -> None:
        self.books = {name: Book(name, seed) for seed, name in enumerate(names)}
        self.connections = 0
        self.subscribed = 0
        self.mute = False
        self.refuses: set[str] = set()
        self.in_dollars: set[str] = set()  # swaps whose contract is worth an amount of another currency
        self.texts: list[tuple[str, str]] = []  # what was sent to it: address, text
        self._sockets: dict[web.WebSocketResponse, set[tuple[str, str]]] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="okxus", daemon=True)
        self.port = 0

    @contextmanager
    def running(self) -> Iterator["Okxus"]:
        self._thread.start()
        self._ready.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10.0)
            assert not self._thread.is_alive()

    def publish(self, name: str, count: int = 1, *, in_one_frame: bool = False) -> None:
        """Take steps; returns when they are on the wire."""

        async def steps() -> None:
            book = self.books[name]
            updates = [book.step() for _ in range(count)]
            if book.skips:
                book.skips = False
                updates.pop(0)
            if book.stalled:
                return
            for data in [updates] if in_one_frame else [[one] for one in updates]:
                await self._tell(name, "update", data)

        self._call(steps)

    def push(self, channel: str, name: str, *data: object) -> None:
        """Send entries of any channel."""
        self._call(lambda: self._push(channel, name, data))

    def say_nothing_changed(self, name: str) -> None:
        """Send what the exchange sends of a book that does not change for a minute."""
        book = self.books[name]
        self._call(lambda: self._tell(name, "update", [book.told({}, {}, book.sequence)]))

    def cut(self) -> None:
        """Cut all connections without a word."""

        async def cut() -> None:
            for socket in list(self._sockets):
                transport = socket._req.transport  # type: ignore[union-attr]
                if transport is not None:
                    transport.abort()

        self._call(cut)

    def _call(self, work: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(60.0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        for path in ("/ws/v5/public", "/okx/ws/v5/public", "/okx/ws/v5/business"):
            app.router.add_get(path, self._websocket)
        app.router.add_get("/api/v5/public/instruments", self._instruments)
        app.router.add_get("/api/v5/market/books", self._depth)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _instruments(self, request: web.Request) -> web.Response:
        wanted = request.query["instType"]
        rows = [
            {
                "instId": name, "instType": "SPOT", "baseCcy": name.split("-")[0], "quoteCcy": "USDT",
                "settleCcy": "", "state": "live", "lotSz": "0.01", "minSz": "0.01", "tickSz": "1",
                "ctVal": "", "ctMult": "", "expTime": "", "listTime": "1548133413000", "lever": "10",
                "uly": "", "alias": "", "category": "1", "optType": "", "ctType": "", "ctValCcy": "",
                **(_swap(name) if wanted == "SWAP" else {}),
                **({"ctValCcy": "USD"} if name in self.in_dollars else {}),
            }
            for name in self.books
            if wanted == ("SWAP" if name.endswith("-SWAP") else "SPOT")
        ]  # fmt: skip
        return web.json_response({"code": "0", "msg": "", "data": rows})

    async def _depth(self, request: web.Request) -> web.Response:
        book = self.books[request.query["instId"]]
        return web.json_response({"code": "0", "msg": "", "data": [book.told(book.bids, book.asks, -1)]})

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        self._sockets[socket] = set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and not self.mute:
                    await self._answer(socket, message.data)
        finally:
            del self._sockets[socket]
        return socket

    async def _answer(self, socket: web.WebSocketResponse, text: str) -> None:
        self.texts.append((socket._req.path, text))  # type: ignore[union-attr]
        if text == "ping":
            await socket.send_str("pong")
            return
        asked = json.loads(text)
        number = {"id": asked["id"]} if "id" in asked else {}
        for argument in asked["args"]:
            name = argument["instId"]
            if name in self.refuses:
                words = f"Wrong URL or channel:{argument['channel']},instId:{name} doesn't exist"
                await socket.send_json({**number, "event": "error", "code": "60018", "msg": words})
                continue
            await socket.send_json({**number, "event": asked["op"], "arg": argument, "connId": "a4d3ae55"})
            topic = (argument["channel"], name)
            if asked["op"] == "unsubscribe":
                self._sockets[socket].discard(topic)
                continue
            self.subscribed += 1
            self._sockets[socket].add(topic)
            book = self.books[name]
            if argument["channel"] == BOOKS and not book.stalled:
                await self._tell(name, "snapshot", [book.told(book.bids, book.asks, -1)], socket)

    async def _tell(
        self, name: str, action: str, data: list[dict[str, Any]], only: web.WebSocketResponse | None = None
    ) -> None:
        if self.mute:
            return
        self.books[name].sent += len(data) * await self._push(BOOKS, name, data, only, action=action)

    async def _push(
        self,
        channel: str,
        name: str,
        data: Sequence[object],
        only: web.WebSocketResponse | None = None,
        **more: str,
    ) -> int:
        """Send to whoever asked for it; returns to how many."""
        text = json.dumps({"arg": {"channel": channel, "instId": name}, **more, "data": data})
        count = 0
        for socket, topics in list(self._sockets.items()):
            if (channel, name) in topics and only in (None, socket) and not socket.closed:
                with suppress(ClientConnectionResetError):  # who is leaving hears no more
                    await socket.send_str(text)
                    count += 1
        return count


def _swap(name: str) -> dict[str, str]:
    """Return what makes an instrument a swap whose contract is a hundredth of the base currency."""
    base, quote, _ = name.split("-")
    return {
        "instType": "SWAP",
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": quote,
        "uly": f"{base}-{quote}",
        "ctVal": "0.01",
        "ctMult": "1",
        "ctValCcy": base,
        "ctType": "linear",
    }
