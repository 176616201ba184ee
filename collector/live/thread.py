"""Run all feeds in a thread with an event loop of its own."""

import asyncio
import gc
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

try:
    import uvloop
except ImportError:  # ccxt brings it on CPython, but not on Windows
    uvloop = None  # type: ignore[assignment]

from collector.clock import Clock
from collector.errors import CollectorError
from collector.events.bus import EventBus
from collector.events.notices import ClockStep, StreamNow
from collector.live.feed import Feed

CLOCK_CHECK_S = 1.0
Result = TypeVar("Result")


class StreamThread:
    """The websocket thread. Never blocks on anything but its sockets."""

    def __init__(
        self,
        make_feeds: Callable[[Clock], Sequence[Feed]],
        events: EventBus,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._make_feeds = make_feeds
        self._events = events
        self._on_end = on_end
        self._thread = threading.Thread(target=self._run, name="websocket", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._lock = threading.Lock()  # guards the stop request against the end of the loop
        self.feeds: Sequence[Feed] = ()
        self.failure: BaseException | None = None  # what ended the thread, if nobody asked it to end

    def start(self) -> None:
        """Start the thread; returns when its loop runs."""
        self._thread.start()
        self._ready.wait()

    @property
    def alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def ask_to_stop(self) -> None:
        """Ask the feeds to close their sockets and segments. Returns at once. Idempotent."""
        with self._lock:
            if self._loop is not None and self._stop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)

    def call(self, work: Callable[[], Result], timeout_s: float) -> Result:
        """Run something in the loop and return its result. Raises CollectorError when the loop is over."""

        async def run() -> Result:
            return work()

        with self._lock:
            loop = self._loop
        if loop is None:
            raise CollectorError("the websocket thread does not run")
        return asyncio.run_coroutine_threadsafe(run(), loop).result(timeout_s)

    def glances(self, timeout_s: float) -> list[StreamNow] | None:
        """Return the state of every stream; None when the loop does not answer in time, or is over."""
        try:
            return self.call(lambda: [one for feed in self.feeds for one in feed.glances()], timeout_s)
        except (CollectorError, TimeoutError):
            return None

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; False when it did not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._main())
        except Exception as error:  # noqa: BLE001  (kept: the main thread asks for it)
            self.failure = error
        finally:
            gc.unfreeze()  # or what a feed froze would stay for as long as the process
            with self._lock:
                self._loop = self._stop = None
            self._ready.set()
            self._on_end()

    async def _main(self) -> None:
        clock = Clock()
        stop = asyncio.Event()
        with self._lock:
            self._loop, self._stop = asyncio.get_running_loop(), stop
        self.feeds = self._make_feeds(clock)
        running = asyncio.ensure_future(asyncio.gather(*(feed.run() for feed in self.feeds)))
        self._ready.set()
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stopping.done() and not running.done():
                await _first(stopping, running)
                step_s = clock.check()
                if step_s is not None:
                    self._events.publish(ClockStep(clock.now_ns(), step_s))
            for feed in self.feeds:
                feed.stop()
            await running
        finally:
            stopping.cancel()


def _new_loop() -> asyncio.AbstractEventLoop:
    """Make the loop: uvloop's where it is installed, which makes paced frames a fifth cheaper."""
    return asyncio.new_event_loop() if uvloop is None else uvloop.new_event_loop()


async def _first(*either: "asyncio.Future[Any]") -> None:
    await asyncio.wait(either, timeout=CLOCK_CHECK_S, return_when=asyncio.FIRST_COMPLETED)
