"""Write times, sizes and counts as plain text, which a pipe takes as well as a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.database import LogReader
    from collector.writer import FollowerState


@contextmanager
def progress(unit: str, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes (done, total): it draws a bar on a terminal, nothing elsewhere."""
    if not (shown and sys.stderr.isatty()):
        yield lambda _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text  # noqa: PLC0415

    class Rate(ProgressColumn):
        """How many a second."""

        def render(self, task: Task) -> Text:
            rate = task.speed or (task.completed / task.elapsed if task.elapsed else 0.0)
            return Text(f"{rate:,.0f} {unit}/s")

    columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(unit, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


SECONDS_NS = 1_000_000_000


def instant(at_ns: int) -> str:
    """Write an instant to the second, UTC."""
    from collector.events import iso_text  # noqa: PLC0415  (numpy: not for the help)

    return iso_text(at_ns)[:19] + "Z"


def precise_instant(at_ns: int) -> str:
    """Write an instant to the millisecond, UTC."""
    from collector.events import iso_text  # noqa: PLC0415

    return iso_text(at_ns)[:23] + "Z"


def span(seconds: float) -> str:
    """Write how long something took: `12s`, `3m`, `5h`, `2d`."""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def lasting(seconds: float) -> str:
    """Write how long something took in its two largest units: `2.35s`, `3m 05s`, `6d 23h`."""
    if seconds < 99.995:  # noqa: PLR2004  (the most that two digits before the point say)
        return f"{seconds:.3g}s" if seconds < 10 else f"{seconds:.1f}s"  # noqa: PLR2004
    whole = round(seconds)
    for (unit, unit_s), (below, below_s) in pairwise((("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))):
        if whole >= unit_s:
            return f"{whole // unit_s}{unit} {whole % unit_s // below_s:02}{below}"
    return f"{whole}s"


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Write a count with its noun: `1 stream`, `1,204 streams`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def size(count: float) -> str:
    """Write a number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:  # noqa: PLR2004
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def reader_text(reader: "LogReader") -> str:
    """Describe who holds the log of an SQLite file."""
    return (
        f"process {reader.pid} ({reader.command}) has read in one transaction for at least "
        f"{reader.for_s:g} s: the log cannot be emptied meanwhile, and has {size(reader.log_bytes)}"
    )


def can_print(text: str) -> bool:
    """Return whether standard output can encode these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def follower_text(state: "FollowerState") -> str:
    """Describe what became of a follower's rows, without the counts that are 0."""
    parts = [
        f"{state.rows:,} rows stored",
        f"{state.in_memory:,} in memory" if state.in_memory else "",
        f"{state.spooled:,} wait in the spool {state.spool}" if state.spooled else "",
        f"{state.rejected:,} rejected" if state.rejected else "",
        f"{state.dropped:,} DROPPED" if state.dropped else "",
        f"the last error: {state.last_error}" if state.last_error else "",
    ]
    return f"{state.name}: {', '.join(text for text in parts if text)}"
