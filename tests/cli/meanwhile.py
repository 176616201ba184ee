"""Do something while a command runs in this process, and end the command by a signal."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from program import Run, count_rows

if TYPE_CHECKING:
    import io
    import subprocess

WITHIN_S = 60.0

RunWhile = Callable[..., "subprocess.CompletedProcess[str]"]


class Running:
    """A command that runs, as a script beside it sees it."""

    def __init__(self) -> None:
        self.streams: tuple[io.TextIOWrapper, ...] = ()
        self.is_over = threading.Event()

    @property
    def text(self) -> str:
        """What it has said so far, to whichever stream."""
        return "".join(one.buffer.getvalue().decode() for one in self.streams)  # type: ignore[attr-defined]

    def wait_for(self, words: str) -> None:
        self.wait_until(lambda: words in self.text, words)

    def wait_for_rows(self, database: Path, rows: int) -> None:
        self.wait_until(lambda: count_rows(database) >= rows, f"{rows} rows")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        until_s = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < until_s, f"{what} did not come:\n{self.text}"
            assert not self.is_over.wait(0.02), f"it ended without {what}:\n{self.text}"


@contextmanager
def deaf_to(number: int) -> Iterator[None]:
    """Keep this process alive should the signal come when the command has ended."""

    def heard(_number: int, _frame: FrameType | None) -> None:
        pass

    before = signal.signal(number, heard)
    try:
        yield
    finally:
        signal.signal(number, before)


def run_while(
    run: Run,
    running: Running,
    script: Callable[[Running], None],
    words: tuple[str, ...],
    number: int,
    environ: dict[str, str],
) -> "subprocess.CompletedProcess[str]":
    """Run a command for as long as the script takes; what that raises is raised at the end."""
    failures: list[BaseException] = []

    def follow() -> None:
        try:
            script(running)
        except BaseException as error:  # noqa: BLE001  (raised below)
            failures.append(error)
        if not running.is_over.is_set():
            os.kill(os.getpid(), number)

    follower = threading.Thread(target=follow)
    with deaf_to(number):
        running.is_over.clear()
        follower.start()
        try:
            done = run(*words, **environ)
        finally:
            running.is_over.set()
            follower.join()
    if failures:
        raise failures[0]
    return done
