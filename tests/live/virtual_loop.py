"""An event loop whose clock jumps to the next timer: hours pass in seconds, in the right order."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Waits for nothing: time is what the loop says it is."""

    jumped_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits, and no timer runs")
        self.jumped_s += timeout
        return list(super().select(0))


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for work without sockets."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return how much time the timers took so far."""
        return self._jumping.jumped_s


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run work to its end on such a clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
