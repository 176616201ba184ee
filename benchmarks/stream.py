"""What a message costs: our stream layer beside the watch loop of stock ccxt.pro, in CPU microseconds.

    python benchmarks/stream.py [--quick] [--json] [--uvloop]

Ours is socket to buffer (tap, mapping, verified book, best ten levels as numbers); the loop is
`watch_order_book` in a task for each symbol, which does less: it proves nothing and keeps nothing. Each runs
in a process of its own, the server in another; CPU is the whole process's, and of rounds the best counts.
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.book_frames import CYCLE, STYLES
from bench.ccxt_programs import WatchLoop
from bench.collector_programs import HAS_KERNEL, PureStreamLayer, StreamLayer
from bench.programs import Maker, Running, Use
from bench.report import Report, best, run
from bench.server import BookServer

from collector.exchanges.registry import EXCHANGES

PACED_PER_S = 1000.0
FLAT_OUT = 0.0
USUAL_LEVELS = 10


class Plan(NamedTuple):
    """How much is measured."""

    styles: tuple[str, ...]
    levels: tuple[int, ...]
    symbols: tuple[int, ...]
    flat_out: int  # updates in a round
    paced: int
    rounds: int


WHOLE = Plan(tuple(STYLES), (2, 10, 40), (1, 10, 100, 500), 20 * CYCLE, 2 * CYCLE, 3)
QUICK = Plan(("bybit linear",), (10,), (1, 100), 10 * CYCLE, CYCLE, 2)
Costs = dict[tuple[int, float], Use]  # by changed levels and pace


def measure(make: Maker, server: BookServer, plan: Plan, *, uvloop: bool) -> Costs:
    """Measure one program on one market, at each number of levels, flat out and paced."""
    costs: Costs = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Running(make, server, Path(folder), uvloop=uvloop) as program,
    ):
        program.round(CYCLE, USUAL_LEVELS)  # the first round warms up
        for levels in plan.levels:
            flat_out = [program.round(plan.flat_out, levels) for _ in range(plan.rounds)]
            costs[levels, FLAT_OUT] = best(flat_out)
            if plan.paced:
                costs[levels, PACED_PER_S] = program.round(plan.paced, levels, PACED_PER_S)
    return costs


def beside(report: Report, style: str, symbols: int, plan: Plan, *, uvloop: bool) -> tuple[Use, Use]:
    """Measure both programs and print them; return the flat-out rounds of ten levels, ours first.

    Where the compiled kernel is installed, ours is measured without it as well.
    """
    with BookServer(style, symbols) as server:
        stock = measure(WatchLoop, server, plan, uvloop=uvloop)
        ours = measure(StreamLayer, server, plan, uvloop=uvloop)
        pure = measure(PureStreamLayer, server, plan, uvloop=uvloop) if HAS_KERNEL else {}
    for (levels, per_s), our in ours.items():
        their = stock[levels, per_s]
        report.add(
            market=style,
            pace=f"{per_s:,.0f}/s" if per_s else "flat out",
            symbols=symbols,
            levels=levels,
            ours_us=our.cpu_us,
            stock_us=their.cpu_us,
            ratio=our.cpu_us / their.cpu_us,
            **({"pure_us": pure[levels, per_s].cpu_us} if pure else {}),
            sent=our.sent,
            ours_saw=our.seen,
            stock_saw=their.seen,
        )
    return ours[USUAL_LEVELS, FLAT_OUT], stock[USUAL_LEVELS, FLAT_OUT]


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure market by market, then by number of symbols."""
    plan = QUICK if options.quick else WHOLE
    uvloop = options.uvloop
    for style in plan.styles:
        if STYLES[style].exchange in EXCHANGES:
            ours, stock = beside(report, style, 1, plan, uvloop=uvloop)
            report.verdict(
                f"{style}, 10 levels, flat out: ours / stock", ours.cpu_us / stock.cpu_us, "<= 0.33"
            )
    few = plan._replace(levels=(USUAL_LEVELS,), paced=0)
    costs = [beside(report, "bybit linear", count, few, uvloop=uvloop)[0].cpu_us for count in plan.symbols]
    most = plan.symbols[-1]
    report.verdict(f"a message with {most} symbols / with 1, flat out", costs[-1] / costs[0], "<= 1.3")


if __name__ == "__main__":
    run(__doc__, work, ("--uvloop",))
