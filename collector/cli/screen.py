"""Show a live table on a terminal while a collector runs."""

import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.live import Live

from collector.cli.live_table import draw

if TYPE_CHECKING:
    from collector.app.view import View
    from collector.events.batch import StreamKey

EVERY_S = 0.5
RATE_OVER_S = 3.0  # rates are of about so long
SHOW_CURSOR = b"\x1b[?25h"


class Rates:
    """Convert growing counts into events a second."""

    def __init__(self) -> None:
        self._last: dict[StreamKey, tuple[float, int]] = {}
        self._rates: dict[StreamKey, float] = {}

    def of(self, view: "View") -> list[float | None]:
        """Return each stream's rate; None at first sight."""
        return [self._of(stream.key, view.uptime_s, stream.counts.received) for stream in view.streams]

    def _of(self, key: "StreamKey", at_s: float, count: int) -> float | None:
        before = self._last.get(key)
        self._last[key] = at_s, count
        if before is None or at_s <= before[0]:
            return self._rates.get(key)
        took_s = at_s - before[0]
        rate = (count - before[1]) / took_s
        weight = min(1.0, took_s / RATE_OVER_S) if key in self._rates else 1.0
        self._rates[key] = rate * weight + self._rates.get(key, 0.0) * (1.0 - weight)
        return self._rates[key]


class Screen:
    """The live table. What others print meanwhile goes above it."""

    every_s = EVERY_S

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rates = Rates()
        self._live = Live(
            console=Console(file=stream, highlight=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
            vertical_overflow="crop",
        )

    def show(self, view: "View") -> None:
        """Draw the table."""
        if not self._live.is_started:
            self._live.start()
        size = self._live.console.size
        table = draw(view, self._rates.of(view), time.time_ns(), size.width, size.height)
        self._live.update(table, refresh=True)

    def stopping(self, deadline_s: float) -> None:
        """Restore the terminal: the accounting comes next."""
        self.close()
        text = f"stopping: writing what is held, within {deadline_s:g} s (Ctrl-C again gives that up)"
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Restore the terminal. Idempotent."""
        if self._live.is_started:
            self._live.stop()

    def abandon(self) -> None:
        """Restore the terminal from within a signal handler: nothing here may wait for a lock."""
        os.write(self._stream.fileno(), SHOW_CURSOR)
