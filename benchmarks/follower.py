"""What a follower costs the database: rows a second and commit time, its stream answering, dead or hanging.

    python benchmarks/follower.py [--quick] [--json]

Write sets as the writer hands them over go through the store's writer into SQLite (`synchronous=FULL`): with
no follower, and with a Kinesis stream as one. A local server in a process of its own stands for AWS; *dead*:
nobody listens at its port; *hangs*: it takes connections and never answers. At full speed all share the
cores, so that a follower costs the CPU that its records, or its spool, take; at the pace of a busy collector
the commit times tell whether it is in the way.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.report import Report, quantile, run
from bench.row_writers import batches, book_rows, key_of

from collector.retry import Backoff
from collector.sinks.contract import SessionState, WriteSet
from collector.sinks.kinesis.sink import KinesisSink
from collector.sinks.options import StreamOptions
from collector.sinks.sql.sink import SqlSink
from collector.spool.file import SpoolFile
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker
from collector.writer.follower import Follower
from collector.writer.limits import Limits, SpoolLimits, WriterLimits
from collector.writer.prepare import Preparation
from collector.writer.sources import Inbox
from collector.writer.thread import WriterThread

SESSION = SessionState("bench", time.time_ns(), "0", "host", 1, json.dumps({}))
SYMBOLS, BATCH_ROWS = 20, 500
KINDS = ("none", "answers", "dead", "hangs")
PACES = {"full speed": 0.0, "2,000 rows/s": 2_000.0}
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Plan(NamedTuple):
    """How much is measured."""

    rows: int
    rounds: int


class Measured(NamedTuple):
    """What one round took."""

    rows_per_s: float
    commits_s: list[float]
    followed: int
    waits: int
    dropped: int


WHOLE, QUICK = Plan(10_000, 4), Plan(8_000, 2)


@contextmanager
def answering() -> Iterator[str]:
    """Run a server that takes every record."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


@contextmanager
def endpoint_of(kind: str, server: str) -> Iterator[str]:
    """Yield the endpoint: the server, a port where nobody listens, or one where nobody answers."""
    if kind == "answers":
        yield server
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if kind == "dead":
            listener.close()
        yield url


def write_sets(rows: int) -> list[WriteSet]:
    """Prepare what is to be committed, ahead."""
    preparation = Preparation(SESSION, key_of, book_rows().settle, most_rows=BATCH_ROWS)
    return [
        write_set
        for batch in batches(rows, BATCH_ROWS, SYMBOLS)
        for write_set in preparation.write_sets(batch, extend_alive=True)
    ]


def follower_at(folder: Path, url: str) -> Follower:
    """Return a follower with the limits that a configuration has by default."""
    sink = KinesisSink(url, StreamOptions(dead_letters=str(folder / "dead")), call_timeout_s=30.0)
    spool = SpoolFile(folder / "follower-spool", max_bytes=1 << 30)
    return Follower(sink, spool, breaker(), Balance("bench", key_of), limits(), session=SESSION)


def breaker() -> Breaker:
    """Return a breaker as by default."""
    return Breaker(3, WriterLimits().retry, Backoff(0.5, 30.0))


def limits() -> Limits:
    """Return the limits as by default."""
    return Limits(WriterLimits(), SpoolLimits(), 30.0)


def measure(folder: Path, follower: Follower | None, wanted: list[WriteSet], rows_per_s: float) -> Measured:
    """Commit everything at a pace (0: as fast as it goes), with the follower behind it."""
    store = SqlSink(str(folder / "store.db"), auto_migrate=True)
    commits_s: list[float] = []

    def on_commit(write_set: WriteSet, took_s: float, was_spooled: bool) -> None:
        commits_s.append(took_s)
        if follower is not None:
            follower.offer(write_set, was_spooled=was_spooled)

    balance = Balance("bench", key_of)
    inbox = Inbox(balance, most_rows=10**9, behind_at_rows=10**9)
    spool = SpoolFile(folder / "store-spool", max_bytes=1 << 30)
    writer = WriterThread(
        inbox, store, spool, breaker(), balance, limits(), session_id="bench", on_commit=on_commit
    )
    store.open()
    store.claim(SESSION, ())
    if follower is not None:
        follower.open()
        follower.start()
    writer.start()
    began_s, due_s = time.monotonic(), 0.0
    for write_set in wanted:
        if rows_per_s:
            due_s += write_set.row_count / rows_per_s
            time.sleep(max(0.0, began_s + due_s - time.monotonic()))
        inbox.offer(write_set)
    while writer.committed.batches < len(wanted):
        time.sleep(0.001)
    took_s = time.monotonic() - began_s
    writer.stop(30.0)
    state = None
    if follower is not None:
        follower.ask_to_stop()
        follower.stop(10.0)
        state = follower.state()
    store.close()
    rows = sum(one.row_count for one in wanted)
    told = (0, 0, 0) if state is None else (state.rows, state.spooled, state.dropped)
    return Measured(rows / took_s, commits_s, *told)


def in_turns(
    server: str, plan: Plan, rows_per_s: float, make: Callable[[], str]
) -> dict[str, list[Measured]]:
    """Measure each kind in each round, so that whatever else the machine does falls on all of them."""
    found: dict[str, list[Measured]] = {kind: [] for kind in KINDS}
    for _ in range(plan.rounds):
        for kind, rounds in found.items():
            wanted = write_sets(plan.rows)
            with tempfile.TemporaryDirectory() as name, endpoint_of(kind, server) as endpoint:
                url = f"kinesis://eu-central-1/{make()}?endpoint={endpoint}"
                follower = None if kind == "none" else follower_at(Path(name), url)
                rounds.append(measure(Path(name), follower, wanted, rows_per_s))
    return found


def p50_s(rounds: list[Measured]) -> float:
    """Return the middle of all commits of some rounds."""
    return quantile([one for each in rounds for one in each.commits_s], 0.5)


def add(report: Report, plan: Plan, pace: str, found: dict[str, list[Measured]]) -> None:
    """Print a row for each kind of stream."""
    rates = {kind: median(one.rows_per_s for one in rounds) for kind, rounds in found.items()}
    for kind, rounds in found.items():
        report.add(
            pace=pace,
            stream=kind,
            rows_per_s=round(rates[kind]),
            of_none=rates[kind] / rates["none"],
            commit_p50_ms=p50_s(rounds) * 1e3,
            commit_p90_ms=quantile([one for each in rounds for one in each.commits_s], 0.9) * 1e3,
            p50_of_none=p50_s(rounds) / p50_s(found["none"]),
            sent=plan.rows * plan.rounds,
            put=sum(one.followed for one in rounds),
            spooled=sum(one.waits for one in rounds),
            dropped=sum(one.dropped for one in rounds),
        )


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure each kind of stream at each pace."""
    import boto3  # noqa: PLC0415  (an extra: the help does without)

    plan = QUICK if options.quick else WHOLE
    with answering() as server:
        client = boto3.client("kinesis", region_name="eu-central-1", endpoint_url=server)

        def stream() -> str:
            name = f"bench-{time.time_ns()}"
            client.create_stream(StreamName=name, ShardCount=4)
            client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
            return name

        for pace, rows_per_s in PACES.items():
            found = in_turns(server, plan, rows_per_s, stream)
            add(report, plan, pace, found)
            if rows_per_s:
                for kind in ("dead", "hangs"):
                    ratio = p50_s(found[kind]) / p50_s(found["none"])
                    report.verdict(f"p50 of commits at {pace}: {kind} / without", ratio, "about 1")
        client.close()


if __name__ == "__main__":
    run(__doc__, work)
