"""Do work to its end in a thread: whoever waits for it may be interrupted or cancelled, the work is not."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from types import FrameType
from typing import Any, TypeVar

from collector.loggers import get_logger

Result = TypeVar("Result")
PUT_OFF = (signal.SIGINT, signal.SIGTERM)

log = get_logger(__name__)


def unbroken(name: str, work: Callable[[], Result]) -> Result:
    """Do it and return its result. What interrupts the wait (Ctrl-C) is raised once the work is done.

    The thread is no daemon: it also outlasts an interpreter that ends meanwhile.
    """
    with _signals_put_off(name):
        answer, thread = _begun(name, work)
        broken: BaseException | None = None
        while thread.is_alive():
            try:
                thread.join()
            except BaseException as error:  # noqa: BLE001  (raised below)
                broken = broken or error
        if broken is not None:
            raise broken
        return answer.result()


async def off_the_loop(name: str, work: Callable[[], Result]) -> Result:
    """Do it and return its result, while the loop goes on. Work whose wait is cancelled goes on as well."""
    answer, thread = _begun(name, work)
    try:
        return await asyncio.shield(asyncio.wrap_future(answer))
    finally:
        if answer.done():
            thread.join()  # it has nothing left to do


def _begun(name: str, work: Callable[[], Result]) -> "tuple[Future[Result], threading.Thread]":
    """Begin it in a thread, where it counts as done by whoever calls this."""
    answer: Future[Result] = Future()
    answer.set_running_or_notify_cancel()  # so that nobody can cancel it
    context = copy_context()

    def run() -> None:
        try:
            answer.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001  (raised where the result is awaited)
            answer.set_exception(error)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    return answer, thread


@contextmanager
def _signals_put_off(name: str) -> Iterator[None]:
    """Let the handlers of these signals run after the block: what they raise may hit any line in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[signal.Signals, Any] = {
        one: handler for one in PUT_OFF if callable(handler := signal.getsignal(one))
    }
    noted: list[signal.Signals] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if not noted:
            log.warning("interrupted.later", signal=signal.Signals(number).name, finishes_first=name)
        noted.append(signal.Signals(number))

    for one in handlers:
        signal.signal(one, note)
    try:
        yield
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
        for one in dict.fromkeys(noted):
            handlers[one](one, None)
