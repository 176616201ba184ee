"""How long an update takes from the simulated exchange's send to the callback of a bot, in microseconds.

    python benchmarks/latency.py [--quick] [--json]

*callback* is ours: a verified book, its row on the way to SQLite, an event handed to the bot's own thread.
*bare* reads the same frames with aiohttp and a JSON parser and does nothing else; *stock* is
`watch_order_book` of ccxt.pro, which skips what it is too slow for. Each runs in a process of its own, the
server in another, which notes the instant at which it writes each frame to its socket.
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.book_frames import CYCLE
from bench.listeners import Bare, Callback, Listening, StockLoop
from bench.report import Report, quantile, run
from bench.server import BookServer

STYLE = "bybit linear"
LEVELS = 10
PROGRAMS = {"bare": Bare, "stock": StockLoop, "callback": Callback}


class Plan(NamedTuple):
    """How much is measured."""

    paces: tuple[float, ...]
    seconds: float


WHOLE = Plan((100.0, 1000.0, 3000.0), 8.0)
QUICK = Plan((1000.0,), 2.0)


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure the three programs at each pace."""
    plan = QUICK if options.quick else WHOLE
    found: dict[tuple[str, float], list[float]] = {}
    with BookServer(STYLE, 1) as server:
        for name, make in PROGRAMS.items():
            with tempfile.TemporaryDirectory() as folder, Listening(make, server, Path(folder)) as program:
                program.round(CYCLE, LEVELS, 1000.0)  # the first round warms up
                for per_s in plan.paces:
                    updates = int(per_s * plan.seconds) // CYCLE * CYCLE or CYCLE
                    took = found[name, per_s] = program.round(updates, LEVELS, per_s)
                    add(report, name, per_s, updates, took)
    pace = 1000.0
    ours, bare = found["callback", pace], found["bare", pace]
    report.verdict("p99 of the callback at 1,000/s, in us", quantile(ours, 0.99), "< 1000")
    report.verdict("p50 of the callback at 1,000/s, in us", quantile(ours, 0.5), "as near to bare as may be")
    report.verdict("p50: callback / bare", quantile(ours, 0.5) / quantile(bare, 0.5), "<= 3")


def add(report: Report, name: str, per_s: float, updates: int, took: list[float]) -> None:
    """Print one program's row."""
    report.add(
        program=name,
        pace=f"{per_s:,.0f}/s",
        sent=updates,
        heard=len(took),
        p50_us=quantile(took, 0.5),
        p99_us=quantile(took, 0.99),
        most_us=max(took),
    )


if __name__ == "__main__":
    run(__doc__, work)
