"""Run a program under measure in a process of its own, and read what it used and what it saw."""

import asyncio
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, cast

from bench.server import BookServer, Endpoints, Sent
from collector.database.sqlite_file import use_newest_sqlite
from collector.log.options import LogOptions
from collector.log.output import set_up_logging

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

LOOK_S = 0.005
READY_TIMEOUT_S = 60.0
ROUND_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0


class Setting(NamedTuple):
    """What a program is to read, and where it may write."""

    style: str
    symbols: Sequence[str]
    endpoints: Endpoints
    folder: Path
    uvloop: bool = False


class Program(Protocol):
    """A program under measure, in its process."""

    def start(self) -> None:
        """Connect and subscribe; may return before the books are in."""

    def is_ready(self) -> bool:
        """Say whether every book is in."""

    def has_reached(self, sent: Sent, seen: int) -> bool:
        """Say whether all that was sent is through; `seen` counts since this round began."""

    def seen(self) -> int:
        """Count the updates that came out at the far end since the books were in."""

    def stop(self) -> None:
        """End."""


class Use(NamedTuple):
    """What one round took."""

    sent: int
    seen: int
    cpu_s: float
    wall_s: float
    resident_mb: float
    is_complete: bool  # in time

    @property
    def cpu_us(self) -> float:
        """CPU microseconds of the whole process, an update sent."""
        return self.cpu_s / self.sent * 1e6

    @property
    def per_s(self) -> float:
        """Updates through in a second."""
        return self.seen / self.wall_s


Maker = Callable[[Setting], Program]


class OwnProcess:
    """A process that says when it is ready, and ends when it is sent None."""

    stop_timeout_s = STOP_TIMEOUT_S

    def __init__(self, run: Callable[..., None], make: Callable[[Setting], object], setting: Setting) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process: SpawnProcess = context.Process(target=run, args=(make, setting, there))

    def __enter__(self) -> Self:
        self._process.start()
        if not self._pipe.poll(READY_TIMEOUT_S):
            self._process.kill()
            raise TimeoutError(f"a program was not ready within {READY_TIMEOUT_S:g} s")
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        self._process.join(self.stop_timeout_s)
        self._process.kill()


class Running(OwnProcess):
    """The handle of a program's process."""

    def __init__(self, make: Maker, server: BookServer, folder: Path, *, uvloop: bool = False) -> None:
        self._server = server
        super().__init__(
            _run, make, Setting(server.style_name, server.symbols, server.endpoints, folder, uvloop)
        )

    def round(self, updates: int, changed: int, per_s: float | None = None) -> Use:
        """Send so many updates, flat out or evenly, and measure until they are through."""
        self._server.prepare(updates, changed)
        self._pipe.send("begin")
        self._pipe.recv()
        sent = self._server.release(per_s)
        self._pipe.send(sent)
        return cast("Use", self._pipe.recv())


def _run(make: Maker, setting: Setting, pipe: Pipe) -> None:
    use_newest_sqlite()
    set_up_logging(LogOptions(level="warning"))
    if setting.uvloop:
        import uvloop  # noqa: PLC0415  (only where asked for)

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    program = make(setting)
    program.start()
    try:
        while not program.is_ready():
            time.sleep(LOOK_S)
        pipe.send("ready")
        while pipe.recv() is not None:
            pipe.send(_round(program, pipe))
    finally:
        program.stop()


def _round(program: Program, pipe: Pipe) -> Use:
    seen, cpu_s, began_s = program.seen(), time.process_time(), time.monotonic()
    pipe.send("begun")
    sent = cast("Sent", pipe.recv())
    deadline_s = time.monotonic() + ROUND_TIMEOUT_S
    while not (through := program.has_reached(sent, program.seen() - seen)) and time.monotonic() < deadline_s:
        time.sleep(LOOK_S)
    return Use(
        sent.updates,
        program.seen() - seen,
        time.process_time() - cpu_s,
        time.monotonic() - began_s,
        _resident_mb(),
        through,
    )


def _resident_mb() -> float:
    """Tell the memory in use now; where the system does not tell, the most there ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
