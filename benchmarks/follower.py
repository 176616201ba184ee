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
SYMBOLS, BATCH_ROWS = 20, 1_000
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


WHOLE, QUICK = Plan(40_000, 3), Plan(20_000, 1)


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


def best(kind: str, server: str, plan: Plan, rows_per_s: float, make: Callable[[int], str]) -> Measured:
    """Return the best of some rounds, each with a database, a stream and a spool of its own."""
    found = []
    for number in range(plan.rounds if not rows_per_s else 1):
        wanted = write_sets(plan.rows)
        with tempfile.TemporaryDirectory() as name, endpoint_of(kind, server) as endpoint:
            url = f"kinesis://eu-central-1/{make(number)}?endpoint={endpoint}"
            follower = None if kind == "none" else follower_at(Path(name), url)
            found.append(measure(Path(name), follower, wanted, rows_per_s))
    return max(found, key=lambda one: one.rows_per_s)


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure each kind of stream at each pace."""
    import boto3  # noqa: PLC0415  (an extra: the help does without)

    plan = QUICK if options.quick else WHOLE
    with answering() as server:
        client = boto3.client("kinesis", region_name="eu-central-1", endpoint_url=server)

        def stream(number: int) -> str:
            name = f"bench-{time.time_ns()}-{number}"
            client.create_stream(StreamName=name, ShardCount=4)
            client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
            return name

        for pace, rows_per_s in PACES.items():
            alone: Measured | None = None
            for kind in ("none", "answers", "dead", "hangs"):
                one = best(kind, server, plan, rows_per_s, stream)
                alone = alone or one
                p50_s, base_s = quantile(one.commits_s, 0.5), quantile(alone.commits_s, 0.5)
                if rows_per_s and kind == "dead":
                    report.verdict("commits at a pace, stream dead: p50 / without", p50_s / base_s, "about 1")
                report.add(
                    pace=pace,
                    stream=kind,
                    rows_per_s=round(one.rows_per_s),
                    of_none=one.rows_per_s / alone.rows_per_s,
                    commit_p50_ms=p50_s * 1e3,
                    commit_p99_ms=quantile(one.commits_s, 0.99) * 1e3,
                    p50_of_none=p50_s / base_s,
                    sent=plan.rows,
                    put=one.followed,
                    spooled=one.waits,
                    dropped=one.dropped,
                )
        client.close()


if __name__ == "__main__":
    run(__doc__, work)
