"""Decide what Ctrl-C does: end the process at once, unless a command has something to put in order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from collector.bell import Bell


def end_at_once() -> None:
    """Let Ctrl-C end the process without a word, as it ends a program that is not written in Python."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, or somebody's
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def rung_by_interrupt() -> Iterator[Bell]:
    """Ring a bell at Ctrl-C meanwhile. An exception could be raised where nobody sees it, and be lost."""
    bell = Bell()
    before = signal.signal(signal.SIGINT, lambda *_: bell.ring())
    try:
        yield bell
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def raised() -> Iterator[None]:
    """Raise KeyboardInterrupt meanwhile."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
