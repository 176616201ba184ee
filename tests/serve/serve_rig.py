"""A server on a free port over a collector that is made up, and requests over bare sockets."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from collector.app.commit_measures import CommitMeasures
from collector.app.jobs.job import JobState
from collector.app.monitor import Checked
from collector.app.view import ReporterState, StreamView, View, WriterView
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.events.notices import StreamNow
from collector.health.facts import Facts, MachineFacts, StreamFact
from collector.health.limits import HealthLimits
from collector.health.rules import judge
from collector.histogram import Histogram
from collector.network.budget import BudgetNow
from collector.serve.access import Access
from collector.serve.application import make_application
from collector.serve.health_routes import health_routes
from collector.serve.limits import HttpLimits
from collector.serve.metric_routes import metric_routes
from collector.serve.server import Server
from collector.serve.shown import Phase
from collector.sinks.contract import AccountingState
from collector.sinks.put_counts import PutCounts
from collector.writer.follower import FollowerState

TOKEN = "0123456789abcdef-secret"
ANSWERS_WITHIN_S = 20.0
WRITER = WriterView(1, 2, 0, 0.01, None, 1, 1000)
BOOK = StreamFact("bybit BTC/USDT book.50", "bybit", "verified", age_s=0.1, lag_s=0.05)
KEY = StreamKey("bybit", "BTC/USDT", "book.50")
FACTS = Facts(("bybit",), (BOOK,), commit_age_s=0.1, buffer_max_rows=1000)


def view_of(**more: Any) -> View:
    known: dict[str, Any] = {"streams": (), "connections": {}, "writer": WRITER, "refused": ()}
    return View("session-1", "./x.db", 5.0, True, halts=0, last_halt=None, **(known | more))


def checked_of(facts: Facts = FACTS, **more: Any) -> Checked:
    machine = MachineFacts(memory_bytes=1000, cpu_cores=0.1)
    return Checked(view_of(**more), machine, judge(facts, HealthLimits()), 9_000_000_000, 2_000_000_000)


def everything() -> Checked:
    """Return a check in which nothing is empty."""
    one = Histogram.of((0.1, 1.0)).plus_all(np.array([0.05, 0.5, 5.0]))
    commits = CommitMeasures(
        one, one, {"bybit": one}, {"bybit": one}, {"bybit": -0.2}, {"book": 7}, {"bybit": (9, 1)}
    )
    counts = AccountingState("s", *KEY, 10, 1, 4, 2, 1, 1, 1, {"stale": 2})
    stream = StreamView(
        KEY, "verified", counts, StreamNow(KEY, True, 1.0, 2.0, 8_000_000_000, 7_990), 0, "", 0
    )
    puts = PutCounts(
        one, one, records=7, rows=70, bytes=8, partial_failures=9, throttles=10, dead_letters=11, errors=12
    )
    follower = FollowerState("./second.db", 1, 2, 3, 4, 5, 6, False, "closed", "./spool", None, puts)
    checked = checked_of(
        streams=(stream,),
        writer=WriterView(1, 2, 3, 0.01, None, 1, 1000, 5, False, "half_open", last_commit_ns=7_000_000_000),
        commits=commits,
        reconnects={("bybit", "transient"): 3},
        holes={("bybit", "checksum"): 2},
        budgets={"bybit": (BudgetNow(0.25, 0.0, "", 0, 3, 1.5), BudgetNow(1.0, 7.0, "http_429", 1, 1, 2.0))},
        followers=(follower,),
        clock_steps=1,
        reports=(ReporterState("cloudwatch", 12, 13),),
        jobs=(JobState("tidy", "", "", 60.0, runs=14, failures=15, last_start_ns=7_500_000_000, last_s=0.7),),
    )
    return replace(checked, machine=MachineFacts(1, 0.5, 2.0, 3, 4, 5))


@dataclass
class MadeUp:
    """What a test wants to be shown."""

    phase: Phase = Phase.RUNNING
    latest: Checked | None = field(default_factory=checked_of)
    checked_ago_s: float | None = 0.2
    limits: HealthLimits = field(default_factory=HealthLimits)
    loop_silent_s: float = 0.0
    loop_ended: bool = False
    events: EventBus = field(default_factory=EventBus)

    def masked(self, text: str) -> str:
        return text.replace(TOKEN, "****")


def http_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "http"}


@contextmanager
def serving(
    shown: MadeUp | None = None,
    *,
    access: Access | None = None,
    limits: HttpLimits | None = None,
    host: str = "127.0.0.1",
    routers: Sequence[Any] = (),
) -> Iterator[int]:
    """Serve; yields the port. No thread of it stays behind."""
    one = shown or MadeUp()

    def make(limits: HttpLimits) -> Any:
        return make_application(
            access or Access(host), limits, [health_routes(one), metric_routes(one), *routers]
        )

    before = http_threads()
    server = Server(make, host, 0, limits=limits)
    assert server.start()
    assert server.port is not None
    try:
        yield server.port
    finally:
        server.close()
        assert http_threads() <= before


@dataclass(frozen=True)
class Answer:
    """What came back on a connection until it was closed, or until the answer was complete."""

    raw: bytes

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=ANSWERS_WITHIN_S)


def ask_raw(port: int, request: bytes) -> Answer:
    """Send bytes, and read until the server closes; a reset ends it as well."""
    with connect(port) as asking:
        got = b""
        try:
            asking.sendall(request)
            while piece := asking.recv(65536):
                got += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        return Answer(got)


def ask(
    port: int, path: str = "/health", *headers: str, host: str = "localhost", method: str = "GET"
) -> Answer:
    """Ask once, by HTTP/1.1, for an answer after which the connection is closed."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return ask_raw(port, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
