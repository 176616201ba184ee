"""Options, the machine, and tables: what every benchmark takes and prints alike."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.programs import Use
from collector.database.sqlite_file import sqlite_version, use_newest_sqlite
from collector.log.options import LogOptions
from collector.log.output import set_up_logging

Cell = str | int | float
EXIT_MISTAKE = 2


@dataclass
class Report:
    """Rows of one run, printed as they come unless the whole is wanted as JSON."""

    name: str
    quick: bool
    as_json: bool
    began_s: float = field(default_factory=time.monotonic)
    rows: list[dict[str, Cell]] = field(default_factory=list)
    verdicts: list[dict[str, Cell]] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)  # versions of what is measured beside us
    _heads: tuple[str, ...] = ()

    def add(self, **cells: Cell) -> None:
        """Take a row; underscores in names are spaces in the table."""
        self.rows.append(cells)
        if self.as_json:
            return
        if self._heads != tuple(cells):
            self._heads = tuple(cells)
            print("\n" + "  ".join(_fit(name.replace("_", " "), value) for name, value in cells.items()))
        print("  ".join(_fit(_text(value), value) for value in cells.values()), flush=True)

    def verdict(self, what: str, found: float, wanted: str) -> None:
        """Say what was wanted of a figure and what it is. Never fails a run: machines are noisy."""
        self.verdicts.append({"what": what, "found": round(found, 3), "wanted": wanted})

    def end(self) -> None:
        """Print what remains."""
        seconds = round(time.monotonic() - self.began_s, 1)
        if not self.as_json:
            print()
            for one in self.verdicts:
                print(f"{one['what']}: {one['found']:,} (wanted: {one['wanted']})")
            print(f"{seconds:g} s")
            return
        whole = {"benchmark": self.name, "machine": machine(), "seconds": seconds}
        if self.beside:
            whole["beside"] = dict(self.beside)
        print(json.dumps({**whole, "rows": self.rows, "verdicts": self.verdicts}))


def run(
    description: str | None,
    work: Callable[[Report, argparse.Namespace], None],
    options: Sequence[str] = (),
    values: Mapping[str, Callable[[str], object]] = MappingProxyType({}),
) -> None:
    """Run a benchmark from the command line. `values` are options that take one, each with what reads it.

    Where none is given an empty text is read; a LookupError says what is missing, and nothing is measured.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short form, under half a minute: less exact")
    parser.add_argument("--json", action="store_true", help="print JSON for a program to read")
    for option in options:
        parser.add_argument(option, action="store_true")
    for option, read in values.items():
        parser.add_argument(option, type=read, default="")
    try:
        chosen = parser.parse_args()
    except LookupError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        raise SystemExit(EXIT_MISTAKE) from None
    use_newest_sqlite()
    set_up_logging(LogOptions(level="warning"))
    report = Report(Path(sys.argv[0]).stem, chosen.quick, chosen.json)
    if not report.as_json:
        print("  ".join(f"{name} {value}" for name, value in machine().items()))
    work(report, chosen)
    report.end()


def machine() -> dict[str, Any]:
    """Say on what the figures were measured."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite_version(),
    }


def best(uses: Sequence[Use]) -> Use:
    """Choose the round that cost least: other programs on the machine can only make one dearer."""
    return min(uses, key=lambda use: (not use.is_complete, use.cpu_us))


def lost(use: Use) -> int:
    """Count what was sent and never seen."""
    return use.sent - use.seen


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _text(value: Cell) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"  # noqa: PLR2004  (three digits are enough)
    return f"{value:,}" if isinstance(value, int) else value


def _fit(text: str, value: Cell) -> str:
    return f"{text:<22}" if isinstance(value, str) else f"{text:>11}"
