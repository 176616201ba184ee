"""Send book frames from a process of its own: answers as the simulated exchanges do, frames made ahead."""

import asyncio
import multiprocessing
from multiprocessing.connection import Connection as Pipe
from typing import TYPE_CHECKING, NamedTuple, Self, cast

from bench.book_frames import STYLES, Style

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

STOP_TIMEOUT_S = 5.0


class Endpoints(NamedTuple):
    """Where the server is: what `exchanges.<name>.endpoints` holds."""

    rest: str
    ws: str


class Sent(NamedTuple):
    """What was put on the wire."""

    updates: int
    last_ms: int  # the exchange's time in the last update of each symbol
    seconds: float


class BookServer:
    """The handle of the serving process."""

    def __init__(self, style_name: str, symbols: int = 1) -> None:
        self.style_name = style_name
        self.symbols = symbols_of(STYLES[style_name], symbols)
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=_serve, args=(style_name, self.symbols, there), daemon=True
        )

    def __enter__(self) -> Self:
        self._process.start()
        port = int(cast("int", self._pipe.recv()))
        self.endpoints = Endpoints(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        self._process.join(STOP_TIMEOUT_S)
        self._process.kill()

    def prepare(self, updates: int, changed: int) -> list[str]:
        """Make frames for those who are subscribed now: `updates` in all, of so many changed levels each.

        Returns their symbols, in the order in which each gets its next update.
        """
        self._pipe.send(("prepare", updates, changed))
        return cast("list[str]", self._pipe.recv())

    def release(self, per_s: float | None) -> Sent:
        """Send what was prepared, flat out or one by one; returns once it is handed to the sockets."""
        self._pipe.send(("release", per_s))
        return cast("Sent", self._pipe.recv())

    def sent_ns(self) -> list[int]:
        """Tell when each frame of the last paced round was written, by the monotonic clock."""
        self._pipe.send(("sent",))
        return cast("list[int]", self._pipe.recv())


def symbols_of(style: Style, count: int) -> list[str]:
    """Name so many markets: the style's own, and made-up ones."""
    _, slash, rest = style.symbol.partition("/")
    return [style.symbol, *(f"X{number:03d}{slash}{rest}" for number in range(1, count))]


def _serve(style_name: str, symbols: list[str], pipe: Pipe) -> None:
    # The simulator is no part of a program that is measured, which imports this module as well.
    from bench.serving import Serving  # noqa: PLC0415

    asyncio.run(Serving(STYLES[style_name], symbols, pipe).run())
