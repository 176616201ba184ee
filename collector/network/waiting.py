"""Wait for the first of several things, or for work in a thread."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


async def wait_for_first(*waits: Awaitable[object], timeout_s: float | None) -> None:
    """Wait for whichever comes first, at most `timeout_s` unless that is None; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def in_thread(name: str, work: Callable[[], Result]) -> "asyncio.Future[Result]":
    """Run blocking work in a daemon thread, which cannot delay the loop's end as its own executor does."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Result] = loop.create_future()

    def settle(set_it: Callable[[Any], None], value: Any) -> None:
        if not answer.done():
            set_it(value)

    def run() -> None:
        set_it: Callable[[Any], None]
        value: Any
        try:
            set_it, value = answer.set_result, work()
        except Exception as error:  # noqa: BLE001  (raised where the result is awaited)
            set_it, value = answer.set_exception, error
        with suppress(RuntimeError):  # the loop ended meanwhile: nobody waits
            loop.call_soon_threadsafe(settle, set_it, value)

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer
