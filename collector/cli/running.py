"""Run a collector in the foreground: signals, waiting, stopping, the last word."""

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.app import Collector, Report
    from collector.sinks.contract import AccountingState

EXIT_LOST = 1
TERMS = ("received", "written", "merged", "sampled_out", "rejected_total", "dropped", "pending", "difference")
HEADINGS = ("received", "written", "merged", "sampled", "rejected", "dropped", "pending", "difference")


def run_in_foreground(collector: "Collector", seconds: float | None) -> int:
    """Collect until a signal, the end of the time, or a failure; then account. Returns the exit code."""
    asked: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if asked:
            print("forced to stop: what was not written is lost", file=sys.stderr)
            sys.stderr.flush()
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        asked.append(number)
        collector.interrupt()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        collector.start()
        try:
            collector.wait(seconds)
        finally:
            report = collector.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    print_report(report)
    return 0 if report.good else EXIT_LOST


def print_report(report: "Report") -> None:
    """Print what became of every event, stream by stream."""
    print(f"\nAccounting of session {report.session_id}, {report.seconds:.1f} s, {report.batches} batches")
    names = [f"{state.exchange} {state.symbol} {state.channel}" for state in report.accounting]
    width = max([len("stream"), *map(len, names)])
    print(f"{'stream':{width}}" + "".join(f"{heading:>11}" for heading in HEADINGS))
    for name, state in zip(names, report.accounting, strict=True):
        terms = "".join(f"{getattr(state, term):>11,}" for term in TERMS)
        print(f"{name:{width}}{terms}{_reasons(state)}")
    print(
        "identity: exact, every event is accounted for"
        if report.exact
        else "identity: BROKEN, see difference"
    )
    for problem in report.problems:
        print(f"problem: {problem}")


def _reasons(state: "AccountingState") -> str:
    return "".join(f"  {reason}={count}" for reason, count in sorted(state.rejected.items()))
