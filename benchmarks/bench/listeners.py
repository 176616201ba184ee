"""Programs that note when an update reached a bot's code: ours, the least there is, ccxt.pro's loop."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import aiohttp
import ccxt.pro
import orjson

from bench.book_frames import STYLES
from bench.ccxt_programs import config_of
from bench.programs import READY_TIMEOUT_S, OwnProcess, Setting
from bench.server import BookServer
from collector import L2Update, create_data_ingestor
from collector.database.sqlite_file import use_newest_sqlite
from collector.log.options import LogOptions
from collector.log.output import set_up_logging

LOOK_S = 0.01
LAST_WAIT_S = 2.0
Heard = list[tuple[int, int]]  # an update's time by the exchange, by which it is known; when it was heard


class Listener(Protocol):
    """A program that hears updates."""

    heard: Heard

    def start(self) -> None:
        """Connect; may return before the book is in."""

    def stop(self) -> None:
        """End."""


class Callback:
    """Our update callback: verified book, row on its way to SQLite, event, queue, thread of the bot."""

    def __init__(self, setting: Setting) -> None:
        self.heard: Heard = []
        style = STYLES[setting.style]
        self._ingestor = create_data_ingestor(
            {
                "exchange": style.exchange,
                "symbol": setting.symbols[0],
                "db_path": setting.folder / "listener.db",
                "endpoints": setting.endpoints._asdict(),
            }
        )
        self._listen()

    def _listen(self) -> None:
        self._ingestor.add_update_callback(self._on_update)

    def _on_update(self, update: L2Update) -> None:
        self.heard.append((update.exchange_ms or 0, time.monotonic_ns()))

    def start(self) -> None:
        """Start the ingestor."""
        if not self._ingestor.start():
            raise RuntimeError(str(self._ingestor.start_failure))

    def stop(self) -> None:
        """Stop it; what it says of itself must be whole."""
        if not self._ingestor.stop():
            raise RuntimeError(f"the collector lost something: {self._ingestor.report}")


class Bare:
    """A websocket of aiohttp, a JSON parser, a call: no book, no proof, no database, no second thread."""

    def __init__(self, setting: Setting) -> None:
        self.heard: Heard = []
        self._setting = setting
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()))

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    async def _read(self) -> None:
        url = f"{self._setting.endpoints.ws}/v5/public/linear"
        name = self._setting.symbols[0].partition(":")[0].replace("/", "")
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_str(json.dumps({"op": "subscribe", "args": [f"orderbook.50.{name}"]}))
            while not self._stopping.is_set():
                try:
                    message = await socket.receive(LOOK_S * 10)
                except TimeoutError:
                    continue
                frame = orjson.loads(message.data)
                if "topic" in frame:
                    self.heard.append((frame["cts"], time.monotonic_ns()))


class StockLoop:
    """`while True: book = await exchange.watch_order_book(symbol)`."""

    def __init__(self, setting: Setting) -> None:
        self.heard: Heard = []
        style = STYLES[setting.style]
        self._symbol = setting.symbols[0]
        self._exchange: Any = getattr(ccxt.pro, style.exchange)(config_of(style, setting))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()))

    def start(self) -> None:
        """Start the loop."""
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        if self._loop is not None and self._main is not None:
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()

    async def _watch(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        try:
            while True:
                book = await self._exchange.watch_order_book(self._symbol, 50)
                self.heard.append((book["timestamp"] or 0, time.monotonic_ns()))
        except asyncio.CancelledError:
            pass
        finally:
            await self._exchange.close()


class Listening(OwnProcess):
    """The handle of a listener's process."""

    stop_timeout_s = READY_TIMEOUT_S

    def __init__(self, make: Callable[[Setting], Listener], server: BookServer, folder: Path) -> None:
        self._server = server
        super().__init__(_run, make, Setting(server.style_name, server.symbols, server.endpoints, folder))

    def round(self, updates: int, changed: int, per_s: float) -> list[float]:
        """Send so many updates evenly; return the microseconds each took that was heard, in their order."""
        self._server.prepare(updates, changed)
        self._pipe.send("begin")
        self._pipe.recv()
        last_ms = self._server.release(per_s).last_ms
        sent_ns = self._server.sent_ns()
        self._pipe.send(last_ms)
        heard = cast("Heard", self._pipe.recv())
        first_ms = last_ms - updates + 1
        return [(at_ns - sent_ns[of_ms - first_ms]) / 1000 for of_ms, at_ns in heard if of_ms >= first_ms]


def _run(make: Callable[[Setting], Listener], setting: Setting, pipe: Any) -> None:
    use_newest_sqlite()
    set_up_logging(LogOptions(level="warning"))
    listener = make(setting)
    listener.start()
    try:
        while not listener.heard:
            time.sleep(LOOK_S)
        pipe.send("ready")
        while pipe.recv() is not None:
            listener.heard.clear()
            pipe.send("begun")
            last = pipe.recv()
            deadline_s = time.monotonic() + LAST_WAIT_S
            while (not listener.heard or listener.heard[-1][0] < last) and time.monotonic() < deadline_s:
                time.sleep(LOOK_S)
            pipe.send(list(listener.heard))
    finally:
        listener.stop()
