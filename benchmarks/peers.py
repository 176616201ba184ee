"""The collector beside cryptofeed: same server, same frames, with a store and without, in turns.

    python benchmarks/peers.py --cryptofeed ENVIRONMENT [--quick] [--json]

Both run on uvloop. *none*: no store, a bot's callback hears each update. *sqlite*: ours, beside a table of
the columns of cryptofeed's PostgreSQL store written by cryptofeed's own queue, as it has no store for SQLite;
both commit at 1,000 rows or 0.1 s, `synchronous=FULL`. *postgresql*: each its own store. Its queue to a store
drops the oldest where it is full; flat out it is measured with `block` as well. Delays are measured in rounds
of their own, of a bot that listens while rows are stored.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.book_frames import CYCLE
from bench.databases import Fresh, databases
from bench.peer import Heard, Ours, Peer, Setup, Theirs, find_peer
from bench.report import Report, quantile, run
from bench.server import BookServer

STYLE = "bybit linear"
LEVELS = 10
FLAT_OUT = 0.0
OURS, THEIRS = "collector", "cryptofeed"
Rounds = Mapping[str, Sequence[Heard]]


class Plan(NamedTuple):
    """How much is measured."""

    setups: tuple[Setup, ...]
    symbols: tuple[int, ...]
    paces: tuple[float, ...]
    flat_out: int  # updates in a round
    flat_rounds: int
    paced_s: float
    paced_rounds: int


BOT, FILE, PATIENT, BOTH, SERVER = (
    Setup("none", listens=True),
    Setup("sqlite", listens=False),
    Setup("sqlite", listens=False, overflow="block"),
    Setup("sqlite", listens=True),
    Setup("postgresql", listens=False),
)
WHOLE = Plan((BOT, FILE, PATIENT, SERVER, BOTH), (1, 100), (1000.0, 5000.0), 100 * CYCLE, 3, 3.0, 2)
QUICK = Plan((BOT, FILE, BOTH), (1,), (1000.0,), 20 * CYCLE, 2, 2.0, 1)


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure both programs in each set-up, for each number of symbols."""
    peer: Peer = options.cryptofeed
    report.beside = peer.versions
    if not report.as_json:
        print("beside: " + "  ".join(f"{name} {version}" for name, version in peer.versions.items()))
    measure(report, QUICK if options.quick else WHOLE, peer)


def measure(report: Report, plan: Plan, peer: Peer) -> None:
    """Measure what a plan has."""
    stores = {setup.store for setup in plan.setups}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        fresh: Mapping[str, Fresh] = {}
        if "postgresql" in stores:
            place = Path(folder) / "server"
            place.mkdir()
            Path(folder).chmod(0o755)  # the server's own user must get in
            fresh = stack.enter_context(databases(place))
        delays = []
        for symbols in plan.symbols:
            for setup in plan.setups:
                if setup.store == "postgresql" and setup.store not in fresh:
                    continue  # no server is installed
                by_pace = beside(plan, setup, symbols, peer, fresh)
                for per_s, rounds in by_pace.items():
                    add_costs(report, setup, symbols, per_s, rounds)
                    if setup.listens and per_s:
                        delays.append((setup, symbols, per_s, rounds))
                most_mb = max(one.told.peak_mb for rounds in by_pace.values() for one in rounds[OURS])
                report.verdict(f"our peak MB, {setup.store}, {symbols} symbols", most_mb, "<= 120")
    for found in delays:
        add_delays(report, *found)


def beside(
    plan: Plan, setup: Setup, symbols: int, peer: Peer, fresh: Mapping[str, Fresh]
) -> dict[float, Rounds]:
    """Run both programs, a round of one and a round of the other, at each pace."""
    with ExitStack() as stack:
        urls: list[str | None] = [None, None]
        if setup.store == "postgresql":
            urls = [fresh[setup.store]().render_as_string(hide_password=False) for _ in urls]
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in urls]
        servers = [stack.enter_context(BookServer(STYLE, symbols)) for _ in urls]
        programs: dict[str, Ours | Theirs] = {
            OURS: stack.enter_context(Ours(servers[0], folders[0], setup, urls[0])),
            THEIRS: stack.enter_context(Theirs(peer, servers[1], folders[1], setup, urls[1])),
        }
        for program in programs.values():
            program.round(2 * CYCLE, LEVELS, 2000.0)  # warms up
        found: dict[float, Rounds] = {}
        paced = () if setup == PATIENT else plan.paces  # a queue that is never full does not wait
        flat_out = () if setup == BOTH else (FLAT_OUT,)  # delays say nothing there
        for per_s in (*flat_out, *paced):
            updates = int(per_s * plan.paced_s) // CYCLE * CYCLE if per_s else plan.flat_out
            times = plan.paced_rounds if per_s else plan.flat_rounds
            rounds: dict[str, list[Heard]] = {name: [] for name in programs}
            for _ in range(times):
                for name, program in programs.items():
                    rounds[name].append(program.round(updates, LEVELS, per_s or None))
            found[per_s] = rounds
    return found


def add_costs(report: Report, setup: Setup, symbols: int, per_s: float, rounds: Rounds) -> None:
    """Print what both used."""
    theirs_us = cpu_us(rounds[THEIRS])
    for name, several in rounds.items():
        report.add(
            program=name,
            store=setup.store,
            its_queue=setup.overflow if setup.store != "none" else "none",
            callback="yes" if setup.listens else "no",
            symbols=symbols,
            pace=pace_text(per_s),
            cpu_us=cpu_us(several),
            of_cryptofeed=cpu_us(several) / theirs_us,
            through_per_s=round(max(one.told.through / one.told.wall_s for one in several)),
            sent=sum(one.sent for one in several),
            lost=sum(one.lost for one in several),
            peak_mb=round(max(one.told.peak_mb for one in several)),
        )
    if setup.store != "none" and not setup.listens:
        ratio = cpu_us(rounds[OURS]) / theirs_us
        report.verdict(
            f"CPU of cryptofeed's, {setup.store}, {symbols} symbols, {pace_text(per_s)}", ratio, "<= 0.7"
        )


def add_delays(report: Report, setup: Setup, symbols: int, per_s: float, rounds: Rounds) -> None:
    """Print how long updates took to the callback, of the quicker round."""
    for name, several in rounds.items():
        report.add(
            program=name,
            store=setup.store,
            symbols=symbols,
            pace=pace_text(per_s),
            sent=sum(one.sent for one in several),
            heard=sum(len(one.took_us) for one in several),
            p50_us=delay_us(several, 0.5),
            p99_us=delay_us(several, 0.99),
            most_us=delay_us(several, 1.0),
        )
    ratio = delay_us(rounds[OURS], 0.99) / delay_us(rounds[THEIRS], 0.99)
    report.verdict(
        f"p99 of cryptofeed's, {setup.store}, {symbols} symbols, {pace_text(per_s)}", ratio, "<= 1"
    )


def pace_text(per_s: float) -> str:
    """Name a pace."""
    return f"{per_s:,.0f}/s" if per_s else "flat out"


def cpu_us(rounds: Sequence[Heard]) -> float:
    """Return what an update cost in the cheapest round: other work on the machine only makes one dearer."""
    return min(one.cpu_us for one in rounds)


def delay_us(rounds: Sequence[Heard], share: float) -> float:
    """Return the delay that so large a share of the updates did not exceed, in the quickest round."""
    return min(quantile(one.took_us, share) for one in rounds)


if __name__ == "__main__":
    run(__doc__, work, values={"--cryptofeed": find_peer})
