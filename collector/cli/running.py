"""Run a collector in the foreground: signals, faces, waiting, stopping, the last word."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from collector.cli.accounting import print_report
from collector.cli.service import ServiceManager

if TYPE_CHECKING:
    from collector.app import Collector
    from collector.cli.screen import Screen
    from collector.settings import LoggingSettings
    from collector.view import View

EXIT_LOST = 1
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FORCED = b"\nforced to stop: what was not written is lost; the database says how far it got\n"


class Face(Protocol):
    """Somewhere that a running collector is shown."""

    every_s: float

    def show(self, view: "View") -> None:
        """Show how things stand."""

    def stopping(self, deadline_s: float) -> None:
        """Show that it stops, which may take so long."""

    def close(self) -> None:
        """Show nothing more. Idempotent."""


def run_in_foreground(
    collector: "Collector", seconds: float | None, *, screen: "Screen | None" = None
) -> int:
    """Collect until a signal, the end of the time, or a failure; then account. Returns the exit code."""
    manager = ServiceManager()
    faces: list[Face] = [manager] if manager.wanted else []
    faces += [screen] if screen is not None else []
    deadline_s = collector.settings.shutdown.deadline_s
    with _stopped_by_signals(collector, screen):
        try:
            collector.start()
            try:
                _show_until_it_ends(collector, seconds, faces)
            finally:
                for face in faces:
                    face.stopping(deadline_s)
                report = collector.stop()
        finally:
            for face in faces:
                face.close()
    print_report(report)
    return 0 if report.good else EXIT_LOST


def screen_for(logging: "LoggingSettings", *, wanted: bool) -> "Screen | None":
    """Return the live table where there is a terminal to show it on; lines of JSON leave no room for it."""
    from collector.cli.screen import Screen  # noqa: PLC0415
    from collector.logs import is_terminal  # noqa: PLC0415

    if not wanted or (logging.format == "json" and logging.file is None):
        return None
    return next((Screen(stream) for stream in (sys.stdout, sys.stderr) if is_terminal(stream)), None)


def _show_until_it_ends(collector: "Collector", seconds: float | None, faces: Sequence[Face]) -> None:
    until_s = None if seconds is None else time.monotonic() + seconds
    due_s = dict.fromkeys(range(len(faces)), time.monotonic())
    while True:
        nexts_s = [*due_s.values(), *([until_s] if until_s is not None else [])]
        now_s = time.monotonic()
        if collector.wait(max(0.0, min(nexts_s) - now_s) if nexts_s else None):
            return
        now_s = time.monotonic()
        if until_s is not None and now_s >= until_s:
            return
        ready = [number for number, at_s in due_s.items() if now_s >= at_s]
        if ready:
            view = collector.view()
            for number in ready:
                faces[number].show(view)
                due_s[number] = now_s + faces[number].every_s


@contextmanager
def _stopped_by_signals(collector: "Collector", screen: "Screen | None") -> Iterator[None]:
    """End the wait at the first signal, the process at the second."""
    asked: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if asked:
            if screen is not None:
                screen.abandon()
            os.write(2, FORCED)  # no buffered writer: it may be what we were interrupted in
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        asked.append(number)
        collector.interrupt()

    before = {number: signal.getsignal(number) for number in STOPPING}
    # Under nohup SIGHUP is ignored, and stays so.
    taken = [number for number in STOPPING if number != signal.SIGHUP or before[number] != signal.SIG_IGN]
    for number in taken:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
