"""Print the last word: what became of every event."""

import sys
from collections.abc import Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from collector.events.batch import UNKNOWN

if TYPE_CHECKING:
    from collector.app import Report
    from collector.sinks.contract import AccountingState

TERMS = ("received", "written", "merged", "sampled_out", "rejected_total", "dropped", "pending", "difference")
HEADINGS = ("received", "written", "merged", "sampled", "rejected", "dropped", "pending", "difference")


def print_report(report: "Report") -> None:
    """Print what became of every event, stream by stream."""
    print(f"\nAccounting of session {report.session_id}, {report.seconds:.1f} s, {report.batches} batches")
    shown = [state for state in report.accounting if state.symbol != UNKNOWN or state.received]
    names = [f"{state.exchange} {state.symbol} {state.channel}" for state in shown]
    rows = [[f"{getattr(state, term):,}" for term in TERMS] for state in shown]
    widths = [max(map(len, column)) + 2 for column in zip(HEADINGS, *rows, strict=True)]
    width = max([len("stream"), *map(len, names)])
    is_narrow = sys.stdout.isatty() and get_terminal_size().columns < width + sum(widths)
    separator = "\n" + " " * 2 if is_narrow else ""
    print(f"{'stream':{0 if is_narrow else width}}{separator}{_aligned(HEADINGS, widths)}")
    for name, row, state in zip(names, rows, shown, strict=True):
        print(f"{name:{0 if is_narrow else width}}{separator}{_aligned(row, widths)}{_reasons(state)}")
    print(
        "identity: exact, every event is accounted for"
        if report.exact
        else "identity: BROKEN, see difference"
    )
    if report.waiting:
        print(f"{report.waiting:,} rows wait in the spool {report.spool}: the next start writes them")
    for problem in report.problems:
        print(f"problem: {problem}")


def _aligned(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(text.rjust(width) for text, width in zip(texts, widths, strict=True))


def _reasons(state: "AccountingState") -> str:
    return "".join(f"  {reason}={count}" for reason, count in sorted(state.rejected.items()))
