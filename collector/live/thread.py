"""Run all feeds in a thread with an event loop of its own."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from collector.clock import Clock
from collector.errors import CollectorError
from collector.events import BookNow, ClockStep, EventBus, PotentialHalt, StreamKey, StreamNow
from collector.live.feed import Feed
from collector.live.insisting import insist
from collector.network import BudgetNow, mistake_in_words, new_loop, wait_for_first
from collector.retry import Backoff
from collector.streams import BookStream

CLOCK_CHECK_S = 1.0
LET_GO_S = 5.0  # of sockets and segments, after a fault
FEED_BACKOFF = Backoff(0.5, 60.0)  # between two runs of a feed that a fault of ours ended
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
        self._lock = threading.Lock()  # guards calls and the stop request against the end of the loop
        self._asked: set[Future[Any]] = set()  # calls that wait for their answer
        self.feeds: Sequence[Feed] = ()
        self._turned_s: float | None = None  # when the loop last turned
        self._asked_to_stop = False
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
            self._asked_to_stop = True
            if self._loop is not None and self._stop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)

    def call(self, work: Callable[[], Result], timeout_s: float) -> Result:
        """Run something in the loop and return its result.

        Raises CollectorError when the loop is over, or ends meanwhile, or does not answer in time.
        """
        answer = self.ask(work)
        try:
            return self.answer_of(answer, timeout_s)
        finally:
            self.forget(answer)

    def ask(self, work: Callable[[], Result]) -> "Future[Result]":
        """Have something run in the loop, and return at once. Raises CollectorError when the loop is over.

        Give what is returned to `forget` when it is done, or waited for no longer.
        """
        answer: Future[Result] = Future()

        def run() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(work())
                except Exception as error:  # noqa: BLE001  (raised where the result is awaited)
                    answer.set_exception(error)

        with self._lock:
            if self._loop is None:
                raise CollectorError("the websocket thread does not run")
            self._asked.add(answer)
            self._loop.call_soon_threadsafe(run)
        return answer

    def forget(self, answer: "Future[Any]") -> None:
        """Have no interest in an answer any more; what was not begun is left out."""
        answer.cancel()
        with self._lock:
            self._asked.discard(answer)

    @staticmethod
    def answer_of(answer: "Future[Result]", timeout_s: float) -> Result:
        """Wait for what the loop was asked for. Raises CollectorError where `call` does."""
        try:
            return answer.result(timeout_s)
        except CancelledError:
            raise CollectorError("the websocket thread ended") from None
        except TimeoutError:
            if not answer.done():
                late = f"the websocket thread did not answer within {timeout_s:g} s"
                raise CollectorError(late) from None
            return answer.result(0.0)  # it came at the last moment, or the error is the work's own

    def glances(self, timeout_s: float) -> list[StreamNow] | None:
        """Return the state of every stream; None when the loop does not answer in time, or is over."""
        try:
            return self.call(self.glances_now, timeout_s)
        except CollectorError:
            return None

    def glances_now(self) -> list[StreamNow]:
        """Return the state of every stream. Call it in the websocket thread."""
        return [stream.glance() for feed in self.feeds for stream in feed.streams()]

    def books_now(self, levels: Mapping[StreamKey, int]) -> list[BookNow]:
        """Copy so many levels of some books. Call it in the websocket thread."""
        return [
            BookNow(stream.key, stream.verification, stream.book_now(levels[stream.key]))
            for feed in self.feeds
            for stream in feed.streams()
            if isinstance(stream, BookStream) and stream.key in levels
        ]

    def budgets(self) -> dict[str, tuple[BudgetNow, ...]]:
        """Return by exchange the state of its request budgets, where it has any."""
        states = {feed.exchange: tuple(feed.budgets) for feed in self.feeds}
        return {exchange: found for exchange, found in states.items() if found}

    @property
    def silent_s(self) -> float:
        """Return how long ago the loop last turned, which it does every second. Waits for nothing."""
        turned_s = self._turned_s
        return 0.0 if turned_s is None else max(0.0, time.monotonic() - turned_s)

    @property
    def ended_unasked(self) -> bool:
        """Return whether the thread ran, and has ended though nobody asked it to."""
        return self._turned_s is not None and not self._asked_to_stop and not self._thread.is_alive()

    @property
    def is_idle(self) -> bool:
        """Whether every exchange has answered, and nothing of what was asked for can be collected."""
        return bool(self.feeds) and all(feed.is_idle for feed in self.feeds)

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; False when it did not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(self._main())
        except Exception as error:  # noqa: BLE001  (kept: the main thread asks for it)
            self.failure = error
        finally:
            gc.unfreeze()  # or what a feed froze would stay for as long as the process
            self._ready.set()
            self._on_end()

    async def _main(self) -> None:
        """Run the feeds until asked to stop: none of them ends by itself, and none ends another."""
        clock = Clock()
        stop = asyncio.Event()
        with self._lock:
            self._loop, self._stop = asyncio.get_running_loop(), stop
        try:
            self.feeds = self._make_feeds(clock)
            running = asyncio.gather(*(self._keep(feed, stop, clock) for feed in self.feeds))
            self._ready.set()
            try:
                while not stop.is_set():
                    self._turned_s = time.monotonic()
                    await wait_for_first(stop.wait(), timeout_s=CLOCK_CHECK_S)
                    self._check(clock)
            except BaseException:
                await self._let_go(clock, stop, running)
                raise
            self._tell(clock, lambda feed: feed.stop())
            await running
        finally:
            self._end_calls()

    async def _let_go(self, clock: Clock, stop: asyncio.Event, running: asyncio.Future[list[None]]) -> None:
        """Close sockets and segments after a fault that ends the thread, if that takes not too long."""
        stop.set()
        self._tell(clock, lambda feed: feed.stop())
        await asyncio.wait({running}, timeout=LET_GO_S)

    def _check(self, clock: Clock) -> None:
        """Look whether the wall clock was stepped."""
        step_ns = clock.check()
        if step_ns is not None:
            self._events.publish(ClockStep(clock.now_ns(), step_ns / 1e9))
            self._tell(clock, lambda feed: feed.clock_stepped(step_ns))

    def _tell(self, clock: Clock, tell: Callable[[Feed], None]) -> None:
        """Tell each feed something; one that cannot take it does not keep it from the others."""
        for feed in self.feeds:
            try:
                tell(feed)
            except Exception as error:  # noqa: BLE001  (whatever it is, the others are told)
                self._report(feed, clock, mistake_in_words(error))

    async def _keep(self, feed: Feed, stop: asyncio.Event, clock: Clock) -> None:
        await insist(feed.run, stop, FEED_BACKOFF, lambda words: self._report(feed, clock, words))

    def _report(self, feed: Feed, clock: Clock, words: str) -> None:
        self._events.publish(PotentialHalt(feed.exchange, "internal_error", words, clock.now_ns()))

    def _end_calls(self) -> None:
        """Take no more calls, and end those that wait, while the loop is not closed yet."""
        with self._lock:
            self._loop = self._stop = None
            asked, self._asked = self._asked, set()
        for answer in asked:
            answer.cancel()
