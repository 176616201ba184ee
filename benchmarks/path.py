"""What a stored update costs: the whole collector from the socket to the committed row, beside two others.

    python benchmarks/path.py [--quick] [--json] [--uvloop]

*careful*: ccxt.pro with its own book, read at every message so that nothing is lost, dict rows over a queue,
SQLAlchemy Core, 1,000 rows a transaction. *floor*: plain aiohttp, orjson and one INSERT of many ready values:
no book, no features, no proof. All write SQLite (`synchronous=FULL`) into a table of the same columns and
index, at 1,000 rows or 0.1 s, whichever comes first.
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.book_frames import CYCLE
from bench.ccxt_programs import CarefulBaseline
from bench.collector_programs import HAS_KERNEL, PureProgram, WholeProgram
from bench.floor import Floor
from bench.programs import Maker, Running, Use
from bench.report import Report, best, lost, run
from bench.server import BookServer

STYLE = "bybit linear"
LEVELS = 10
FLAT_OUT = 0.0
PROGRAMS: dict[str, Maker] = {"careful": CarefulBaseline, "floor": Floor, "collector": WholeProgram}
if HAS_KERNEL:  # without it as well
    PROGRAMS["pure"] = PureProgram


class Plan(NamedTuple):
    """How much is measured."""

    symbols: tuple[int, ...]
    paces: tuple[float, ...]
    flat_out: int  # updates in a round
    rounds: int
    paced_s: float


WHOLE = Plan((1, 100), (1000.0, 5000.0), 100 * CYCLE, 3, 4.0)
QUICK = Plan((1,), (1000.0,), 20 * CYCLE, 2, 2.0)


def measure(make: Maker, server: BookServer, plan: Plan, *, uvloop: bool) -> dict[float, Use]:
    """Measure one program at each pace."""
    uses: dict[float, Use] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Running(make, server, Path(folder), uvloop=uvloop) as program,
    ):
        program.round(5 * CYCLE, LEVELS)  # the first round warms up
        uses[FLAT_OUT] = best([program.round(plan.flat_out, LEVELS) for _ in range(plan.rounds)])
        for per_s in plan.paces:
            uses[per_s] = program.round(int(per_s * plan.paced_s), LEVELS, per_s)
    return uses


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure the three programs for each number of symbols."""
    plan = QUICK if options.quick else WHOLE
    for symbols in plan.symbols:
        with BookServer(STYLE, symbols) as server:
            uses = {
                name: measure(make, server, plan, uvloop=options.uvloop) for name, make in PROGRAMS.items()
            }
        for per_s in (FLAT_OUT, *plan.paces):
            for name, by_pace in uses.items():
                add(report, symbols, per_s, name, by_pace[per_s], uses["careful"][per_s])
        ours, careful, floor = (uses[name][FLAT_OUT] for name in ("collector", "careful", "floor"))
        report.verdict(f"updates/s stored, flat out, {symbols} symbols", ours.per_s, ">= 100,000")
        for name, beside, most in (("careful", careful, "<= 0.2"), ("floor", floor, "<= 1.2")):
            report.verdict(f"CPU of {name}, flat out, {symbols} symbols", ours.cpu_us / beside.cpu_us, most)


def add(report: Report, symbols: int, per_s: float, name: str, use: Use, careful: Use) -> None:
    """Print one program's row."""
    report.add(
        program=name,
        pace=f"{per_s:,.0f}/s" if per_s else "flat out",
        symbols=symbols,
        cpu_us=use.cpu_us,
        of_careful=use.cpu_us / careful.cpu_us,
        stored_per_s=round(use.per_s),
        sent=use.sent,
        stored=use.seen,
        lost=lost(use),
        resident_mb=round(use.resident_mb),
    )


if __name__ == "__main__":
    run(__doc__, work, ("--uvloop",))
