"""Run what an `async def` handler returns, to its end, for a thread that waits for it.

It runs on the caller's own event loop where there is one, else on a loop in a thread of its own: what the
handler began with `asyncio.create_task` goes on there between two events.
"""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any

LOOK_EVERY_S = 0.5  # whether the loop still runs

Loop = asyncio.AbstractEventLoop


def is_async(handler: Callable[..., Any]) -> bool:
    """Return whether a handler is an `async def`, or an object that is called as one."""
    while isinstance(handler, partial):
        handler = handler.func
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def running_loop() -> Loop | None:
    """Return the event loop that runs in the present thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Coroutines:
    """Runs coroutines one after the other. Called by one thread; `cancel` is for any."""

    def __init__(self, name: str, loop: Loop | None) -> None:
        self.loop = loop  # the caller's; None: one of our own
        self._name = name
        self._own: _LoopThread | None = None
        self._under_way: Future[BaseException | None] | None = None

    def finish(self, awaitable: Awaitable[object], loop: Loop | None = None) -> None:
        """Run it to its end. Raises what it raised, and RuntimeError when the caller's loop ends before."""
        on = self._usable(loop) or self._usable(self.loop) or self._own_loop()
        outcome = _outcome(awaitable)
        try:
            self._under_way = asyncio.run_coroutine_threadsafe(outcome, on)
        except RuntimeError:  # the loop was closed at this very moment
            outcome.close()
            _close(awaitable)
            raise
        try:
            error = self._wait(self._under_way, on)
        finally:
            if inspect.getcoroutinestate(outcome) == inspect.CORO_CREATED:  # the loop ended before it began
                outcome.close()
                _close(awaitable)
        if error is not None:
            raise error

    def cancel(self) -> None:
        """Cancel what runs, if anything does."""
        future = self._under_way
        if future is not None:
            future.cancel()

    def close(self) -> None:
        """End the thread of our own loop, and what still runs there."""
        own, self._own = self._own, None
        if own is not None:
            own.end()

    def _wait(self, future: "Future[BaseException | None]", loop: Loop) -> BaseException | None:
        while True:
            try:
                return future.result(LOOK_EVERY_S)
            except TimeoutError:
                if future.done():
                    continue
                if not loop.is_running():
                    future.cancel()
                    raise RuntimeError("its event loop ended before it did") from None
            except CancelledError:
                raise RuntimeError("it was cancelled before its end") from None

    def _usable(self, loop: Loop | None) -> Loop | None:
        return loop if loop is not None and loop.is_running() else None

    def _own_loop(self) -> Loop:
        if self._own is None:
            self._own = _LoopThread(f"{self._name} loop")
        return self._own.loop


class _LoopThread:
    """A thread that runs an event loop until it is asked to end."""

    def __init__(self, name: str) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        with asyncio.Runner() as runner:  # which cancels at the end what is left
            self.loop = runner.get_loop()
            self.loop.call_soon(self._ready.set)
            self.loop.run_forever()

    def end(self) -> None:
        """End the loop and wait for the thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


async def _outcome(awaitable: Awaitable[object]) -> BaseException | None:
    """Return what was raised: SystemExit, raised within a task, would end the loop that it runs on."""
    try:
        await awaitable
    except (Exception, SystemExit) as error:  # noqa: BLE001  (raised again where it is waited for)
        return error
    return None


def _close(awaitable: Awaitable[object]) -> None:
    """Close a coroutine that will not run, so that nobody is warned of it."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
