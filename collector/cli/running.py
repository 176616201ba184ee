"""Run a collector in the foreground: signals, faces, waiting, stopping, the last word."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from collector.app import SignalSafeEvent
from collector.cli.plain import counted, follower_text
from collector.cli.service import ServiceManager
from collector.cli.start import EXIT_CODES, Outcome, Start
from collector.cli.table import Column, print_table, print_text
from collector.events import UNKNOWN

if TYPE_CHECKING:
    from collector.app import Collector, Report, View
    from collector.cli.screen import Screen
    from collector.log import LogOptions
    from collector.serve import Server
    from collector.sinks import AccountingState


TERMS = ("received", "written", "merged", "sampled_out", "rejected_total", "dropped", "pending", "difference")
HEADINGS = ("received", "written", "merged", "sampled", "rejected", "dropped", "pending", "difference")


def print_report(report: "Report") -> None:
    """Print what became of every event, stream by stream."""
    batches = counted(report.batches, "batch", "batches")
    print_text(f"\nAccounting of session {report.session_id}, {report.seconds:.1f} s, {batches}")
    shown = [state for state in report.accounting if state.symbol != UNKNOWN or state.received]
    rows = [
        [
            f"{state.exchange} {state.symbol} {state.channel}",
            *(f"{getattr(state, term):,}" for term in TERMS),
            _reasons(state),
        ]
        for state in shown
    ]
    print_table([Column("stream", "name"), *map(Column, HEADINGS), Column("", "note")], rows)
    print(
        "identity: exact, every event is accounted for"
        if report.exact
        else "identity: BROKEN, see difference"
    )
    if report.waiting:
        waiting = f"{counted(report.waiting, 'row')} {'waits' if report.waiting == 1 else 'wait'}"
        print_text(f"{waiting} in the spool {report.spool}: the next start writes them")
    for follower in report.followers:
        print_text(f"follower {follower_text(follower)}")
    for note in report.notes:
        print_text(f"note: {note}")
    for problem in report.problems:
        print_text(f"problem: {problem}")


def _reasons(state: "AccountingState") -> str:
    return "  ".join(f"{reason}={count}" for reason, count in sorted(state.rejected.items()))


def end_at_once() -> None:
    """End the process at Ctrl-C without a traceback, as programs not written in Python end."""
    if os.getpid() == FIRST_PROCESS:
        for number in (signal.SIGINT, signal.SIGTERM):
            _let_end(number)
    elif signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, or somebody's
        _let_end(signal.SIGINT)


def _let_end(number: int) -> None:
    """Have a signal end the process at once.

    The kernel spares the first process of a container (number 1) every signal that it has no handler for.
    """
    is_first = os.getpid() == FIRST_PROCESS
    signal.signal(number, (lambda number, _: os._exit(SIGNALLED + number)) if is_first else signal.SIG_DFL)


@contextmanager
def set_by_interrupt() -> Iterator[SignalSafeEvent]:
    """Yield an event that Ctrl-C sets: an exception could be raised where nobody sees it."""
    interrupted = SignalSafeEvent()
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.ring())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupt_raises() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C within the block."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


EXIT_LOST = 1
FIRST_PROCESS = 1
SIGNALLED = 128  # and the signal's number: what a shell makes of a process that a signal ended
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # SIGHUP only where there was a terminal
FORCED = b"\nforced to stop: what was not written is lost; the database says how far it got\n"


class Face(Protocol):
    """Somewhere that a running collector is shown."""

    every_s: float

    def show(self, view: "View") -> None:
        """Show the present view."""

    def stopping(self, deadline_s: float) -> None:
        """Show that the collector is stopping, and how long that may take."""

    def close(self) -> None:
        """Show nothing more. Idempotent."""


def run_in_foreground(
    collector: "Collector",
    seconds: float | None,
    *,
    screen: "Screen | None" = None,
    server: "Server | None" = None,
    waits: bool = False,  # for a database that is away
    log_is_elsewhere: bool = False,  # so that the terminal has to be told by itself
) -> int:
    """Collect until a signal, the end of the time, or a failure; then account. Returns the exit code."""
    manager = ServiceManager(wedged_after_s=collector.monitor.limits.wedged_after_s)
    faces: list[Face] = [manager] if manager.wanted else []
    faces += [screen] if screen is not None else []
    deadline_s = collector.deadline_s
    with _stopped_by_signals(collector, screen):
        try:
            if server is not None:
                server.start()
            until_s = None if seconds is None else time.monotonic() + seconds
            start = Start(collector, manager, log_is_elsewhere=log_is_elsewhere)
            outcome = start.wait(until_s) if waits else start.once()
            if outcome is not Outcome.STARTED:
                return EXIT_CODES[outcome]
            try:
                _show_until_it_ends(collector, until_s, faces)
            finally:
                for face in faces:
                    face.stopping(deadline_s)
                report = collector.stop()
        finally:
            if server is not None:
                server.close()
            for face in faces:
                face.close()
    print_report(report)
    return 0 if report.good else EXIT_LOST


def screen_for(logging: "LogOptions", *, wanted: bool) -> "Screen | None":
    """Return the live table where there is a terminal to show it on; lines of JSON leave no room for it."""
    from collector.log import is_terminal  # noqa: PLC0415

    if not wanted or (logging.format == "json" and logging.file is None):
        return None
    terminal = next((stream for stream in (sys.stdout, sys.stderr) if is_terminal(stream)), None)
    if terminal is None:
        return None
    from collector.cli.screen import Screen  # noqa: PLC0415  (rich is for a terminal alone)

    return Screen(terminal)


def _show_until_it_ends(collector: "Collector", until_s: float | None, faces: Sequence[Face]) -> None:
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
def rung_by_signals(event: SignalSafeEvent) -> Iterator[None]:
    """Ring the event at a signal that asks the program to end; a second one ends it at once."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        _let_end(number)  # first: the next one may come at any time
        event.ring()

    with _handled(on_signal):
        yield


Handler = Callable[[int, FrameType | None], object]


@contextmanager
def _handled(stop: Handler) -> Iterator[None]:
    """Handle the signals that ask the program to end, and those that ask it to open its log file anew.

    SIGHUP says that the terminal is gone: then the program ends. One that never had a terminal is sent it by
    logrotate, as daemons are, and opens its log file anew, as at SIGUSR1. Under nohup it is ignored.
    """
    from collector.log import ask_to_reopen  # noqa: PLC0415

    handlers: dict[signal.Signals, Handler] = dict.fromkeys(STOPPING, stop)
    handlers[signal.SIGUSR1] = lambda *_: ask_to_reopen()
    if not _has_terminal():
        handlers[signal.SIGHUP] = handlers[signal.SIGUSR1]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        del handlers[signal.SIGHUP]
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _has_terminal() -> bool:
    """Return whether a terminal controls this process. Ask at the start: a hangup takes it away."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


@contextmanager
def _stopped_by_signals(collector: "Collector", screen: "Screen | None") -> Iterator[None]:
    """End the wait at the first signal, the process at the second."""
    asked: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if asked:
            if screen is not None:
                screen.abandon()
            os.write(2, FORCED)  # no buffered writer: it may be what we were interrupted in
            _let_end(number)
            signal.raise_signal(number)
        asked.append(number)
        collector.interrupt()

    with _handled(on_signal):
        yield
