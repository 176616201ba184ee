"""What runs in the process that serves book frames."""

import asyncio
import time
from multiprocessing.connection import Connection as Pipe
from typing import cast

from aiohttp import WSMsgType, web

from bench.book_frames import Book, Style, cycle, written
from bench.server import Sent
from collector.simulator.exchanges.exchange import Answer, Exchange, Reply, Request
from collector.simulator.wire import PONG, frame
from collector.simulator.world import World

LEVELS_OF_UNUSED_MARKETS = 20
FRAMES_A_WRITE = 64
MOST_UNSENT_BYTES = 256 * 1024
DRAIN_CHECK_S = 0.0005


class Serving:
    """The serving process."""

    def __init__(self, style: Style, symbols: list[str], pipe: Pipe) -> None:
        self._style = style
        self._pipe = pipe
        self._world = World(
            {style.exchange: symbols},
            seed=7,
            levels=LEVELS_OF_UNUSED_MARKETS,
            remember=1,
            clock_ns=time.time_ns,
        )
        self._exchange: Exchange = self._world.exchanges[0]
        self._first_ms = time.time_ns() // 1_000_000
        feeds = self._exchange.feeds
        self._books = {each: Book(style, feeds[each].instrument.name, self._first_ms) for each in symbols}
        self._by_name = {feeds[each].instrument.name: self._books[each] for each in symbols}
        self._hearers: dict[str, asyncio.Transport] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ahead: list[tuple[asyncio.Transport, bytes]] = []
        self._sent_ns: list[int] = []  # of the last paced round, frame by frame

    async def run(self) -> None:
        """Serve, and do what the pipe says, until it says None."""
        self._loop = asyncio.get_running_loop()
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._pipe.send(runner.addresses[0][1])
        while (order := await asyncio.to_thread(self._pipe.recv)) is not None:
            if order[0] == "prepare":
                self._prepare(*order[1:])
                self._pipe.send(list(self._hearers))
            elif order[0] == "sent":
                self._pipe.send(self._sent_ns)
            else:
                began_s = time.monotonic()
                updates = len(self._ahead)
                self._sent_ns = []
                await (self._flat_out() if order[1] is None else asyncio.to_thread(self._paced, order[1]))
                self._ahead = []
                number = min(book.number for book in self._books.values())
                self._pipe.send(Sent(updates, self._first_ms + number, time.monotonic() - began_s))

    def _prepare(self, updates: int, changed: int) -> None:
        bodies = written(self._style, cycle(self._style, changed))
        pairs = [(transport, self._books[symbol]) for symbol, transport in self._hearers.items()]
        for _, book in pairs:
            book.change(bodies)
        for _ in range(updates // len(pairs)):
            self._ahead.extend((transport, book.next_frame()) for transport, book in pairs)

    async def _flat_out(self) -> None:
        for first in range(0, len(self._ahead), FRAMES_A_WRITE):
            writes: dict[asyncio.Transport, list[bytes]] = {}
            for transport, data in self._ahead[first : first + FRAMES_A_WRITE]:
                writes.setdefault(transport, []).append(data)
            for transport, several in writes.items():
                transport.write(b"".join(several))
                while transport.get_write_buffer_size() > MOST_UNSENT_BYTES:  # noqa: ASYNC110  (no event tells)
                    await asyncio.sleep(DRAIN_CHECK_S)
            await asyncio.sleep(0)

    def _paced(self, per_s: float) -> None:
        """Send frame by frame, evenly: each wakes its reader."""
        loop = cast("asyncio.AbstractEventLoop", self._loop)
        began_s = time.monotonic()
        for number, (transport, data) in enumerate(self._ahead):
            wait_s = began_s + number / per_s - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            loop.call_soon_threadsafe(self._write, transport, data)

    def _write(self, transport: asyncio.Transport, data: bytes) -> None:
        self._sent_ns.append(time.monotonic_ns())  # one clock for all processes of a machine
        transport.write(data)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        asked = Request(request.path, dict(request.query))
        if request.path == self._style.rest_path:
            answer = Answer(self._by_name[asked.query["symbol"]].snapshot())
        else:
            answer = self._world.rest(self._exchange, asked, time.time_ns() // 1_000_000)
        return web.Response(text=answer.body, status=answer.status, content_type=answer.content_type)

    async def _socket(self, request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, compress=False)
        # `Server` hands out requests of the base class; `prepare` asks for no more than that.
        await socket.prepare(cast("web.Request", request))
        transport = cast("asyncio.Transport", request.transport)
        market = self._exchange.market_at(request.path) or "spot"
        connection = self._world.connect(self._exchange, market, request.path)
        self._answer(transport, self._exchange.greet(connection, request.query, time.time_ns()))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self._answer(transport, self._exchange.receive(connection, message.data, time.time_ns()))
            elif message.type is WSMsgType.PING:
                transport.write(frame(message.data, PONG))
        self._hearers = {symbol: each for symbol, each in self._hearers.items() if each is not transport}
        return socket

    def _answer(self, transport: asyncio.Transport, replies: list[Reply]) -> None:
        for reply in replies:
            if reply.text is not None:
                transport.write(frame(reply.text.encode()))
            for topic in reply.unsubscribe:
                self._hearers.pop(topic.symbol, None)
            for topic in reply.subscribe:
                self._hearers[topic.symbol] = transport
                if self._style.rest_path is None:
                    transport.write(frame(self._books[topic.symbol].snapshot().encode()))
