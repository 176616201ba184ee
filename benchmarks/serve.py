"""What being watched costs a collector: CPU an update and the callback's delay, with an audience and without.

    python benchmarks/serve.py [--quick] [--json]

The audience is an open dashboard (overviews as server-sent events, after each the book of a chosen stream)
and 100 clients of `/ws`, each of the books and ticks of one of ten markets. Rounds with it and without it
take turns on one collector, which serves throughout. The exchange and the audience have processes of their
own: only what the collector itself uses counts, whole, and without the thread that serves.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.audience import Audience
from bench.book_frames import CYCLE
from bench.report import Report, quantile, run
from bench.served import Served, Serving
from bench.server import BookServer

STYLE = "bybit linear"
LEVELS = 10
MARKETS = 10
CLIENTS = 100
WARM_UP_PER_S = 1000.0

Rounds = Sequence[Served]


class Plan(NamedTuple):
    """How much is measured."""

    paces: tuple[float, ...]
    seconds: float
    rounds: int


WHOLE = Plan((300.0, 1000.0, 3000.0), 6.0, 3)
QUICK = Plan((1000.0,), 4.0, 1)


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure rounds without an audience and with one, in turns, at each pace."""
    plan = QUICK if options.quick else WHOLE
    with (
        BookServer(STYLE, MARKETS) as server,
        tempfile.TemporaryDirectory() as folder,
        Serving(server, Path(folder)) as collector,
    ):
        url = collector.url
        with Audience(url, server.symbols, CLIENTS):  # the first round warms up
            collector.round(CYCLE, LEVELS, WARM_UP_PER_S)
        for per_s in plan.paces:
            updates = int(per_s * plan.seconds) // MARKETS * MARKETS
            alone, watched = [], []
            events = 0
            for _ in range(plan.rounds):
                alone.append(collector.round(updates, LEVELS, per_s))
                with Audience(url, server.symbols, CLIENTS) as audience:
                    watched.append(collector.round(updates, LEVELS, per_s))
                events += audience.events
            add(report, per_s, 0, alone, alone)
            watched_s = sum(one.seconds for one in watched)
            add(report, per_s, CLIENTS, watched, alone, round(events / watched_s))
            judge(report, per_s, alone, watched)


def add(
    report: Report, per_s: float, clients: int, rounds: Rounds, alone: Rounds, pushed_per_s: int = 0
) -> None:
    """Print one row."""
    report.add(
        clients=clients,
        pace=f"{per_s:,.0f}/s",
        cpu_us=cpu_us(rounds),
        of_alone=cpu_us(rounds) / cpu_us(alone),
        collecting_us=collecting_us(rounds),
        collecting_of_alone=collecting_us(rounds) / collecting_us(alone),
        p50_us=delay_us(rounds, 0.5),
        p99_us=delay_us(rounds, 0.99),
        pushed_per_s=pushed_per_s,
        sent_per_s=round(sum(one.per_s for one in rounds) / len(rounds)),
        sent=sum(one.sent for one in rounds),
        heard=sum(len(one.took_us) for one in rounds),
    )


def judge(report: Report, per_s: float, alone: Rounds, watched: Rounds) -> None:
    """Say what was wanted."""
    pace = f"at {per_s:,.0f}/s"
    ratio = collecting_us(watched) / collecting_us(alone)
    report.verdict(f"CPU of collecting, watched / alone, {pace}", ratio, "<= 1.2")
    ratio = cpu_us(watched) / cpu_us(alone)
    report.verdict(f"CPU of the process, watched / alone, {pace}", ratio, "<= 1.2")
    ratio = delay_us(watched, 0.99) / delay_us(alone, 0.99)
    report.verdict(f"p99 of the callback, watched / alone, {pace}", ratio, "as near to 1 as may be")


def cpu_us(rounds: Rounds) -> float:
    """Return what an update cost the process in the cheapest round."""
    return min(one.cpu_us for one in rounds)


def collecting_us(rounds: Rounds) -> float:
    """Return the same without the thread that serves."""
    return min(one.collecting_us for one in rounds)


def delay_us(rounds: Rounds, share: float) -> float:
    """Return the delay that so large a share of the updates did not exceed, in the quickest round."""
    return min(quantile(one.took_us, share) for one in rounds)


if __name__ == "__main__":
    run(__doc__, work)
