"""The listening side: one port, one thread, one loop, for all exchanges, REST and websocket."""

import asyncio
import errno
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from aiohttp import web

from collector.errors import UserError
from collector.simulator.exchanges import Exchange
from collector.simulator.messages import Answer, Request
from collector.simulator.rest_desk import RestDesk
from collector.simulator.session import Session
from collector.simulator.wire import CONTROL_PATH, reset
from collector.simulator.world import World

_Result = TypeVar("_Result")
_HOST = "127.0.0.1"

# Answers a request to the control address: method, path, query and body.
Control = Callable[[str, str, Mapping[str, str], str], Awaitable[Answer]]


class Server:
    """Serves a world on a thread of its own."""

    def __init__(
        self,
        world: World,
        port: int,
        background: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self.port = port
        self._world = world
        self._desk = RestDesk(world)
        self._background = background
        self._control: Control | None = None
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def start(self, control: Control) -> None:
        """Listen, with `control` at the control address; returns when the port accepts connections."""
        self._control = control
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Close every connection and end the thread."""
        loop, stopping = self._loop, self._stopping
        if self._thread.is_alive() and loop is not None and stopping is not None:
            loop.call_soon_threadsafe(stopping.set)
        self._thread.join()

    def call(self, coroutine: Coroutine[Any, Any, _Result], timeout_s: float | None = None) -> _Result:
        """Run a coroutine on the simulator's loop and wait for its result."""
        if self._loop is None or not self._thread.is_alive():
            coroutine.close()
            raise RuntimeError("the simulator is not running")
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("called from the simulator's own thread: it would wait for itself")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001  (handed to the thread that called start)
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, _HOST, self.port)
            try:
                await site.start()
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise UserError(
                        f"port {self.port} is taken: choose another, or 0 for any free one"
                    ) from error
                raise
            self.port = runner.addresses[0][1]
            background = asyncio.create_task(self._background())
            self._ready.set()
            await self._stopping.wait()
            background.cancel()
            await asyncio.gather(background, return_exceptions=True)
            for session in self._world.sessions():
                session.close_now(1001, "the simulator stops")
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        if request.path.startswith(CONTROL_PATH) and self._control is not None:
            body = await request.text()
            return _response(await self._control(request.method, request.path, request.query, body))
        asked = Request(request.path, dict(request.query), request.headers)
        for exchange in self._world.exchanges:
            if request.path.startswith(exchange.rest_prefixes):
                return _response(await self._desk.answer(exchange, asked))
        return _response(Answer('{"error":"no exchange has this path"}', 404))

    async def _socket(self, request: web.BaseRequest) -> web.StreamResponse:
        found = self._exchange_at(request.path)
        if found is None:
            return _response(Answer('{"error":"no exchange has this path"}', 404))
        exchange, market = found
        admission = self._world.admission(exchange.name)
        refusal = admission.take_refusal()
        if refusal is not None:
            if not refusal and request.transport is not None:
                reset(request.transport)
            return _response(Answer('{"error":"refused"}', refusal or 503))
        now_ms = self._world.clock_ns(exchange.name) // 1_000_000
        if not self._world.allowances.admits(exchange.name, exchange.connection_rule, now_ms):
            return _response(Answer('{"error":"too many connections"}', exchange.connection_refusal_status))
        connection = self._world.connect(exchange, market, request.path)
        return await Session(self._world.session_context, exchange, admission, connection, request).run()

    def _exchange_at(self, path: str) -> tuple[Exchange, str] | None:
        for exchange in self._world.exchanges:
            market = exchange.market_at(path)
            if market is not None:
                return exchange, market
        return None


def _response(answer: Answer) -> web.Response:
    return web.Response(
        text=answer.body, status=answer.status, headers=answer.headers, content_type=answer.content_type
    )
