"""Simulator, collector, Kinesis, `consume`: the database at the end equals the one at the beginning.

The long form's size is chosen with EVENTS_THROUGH_KINESIS (batch form) and SINGLE_EVENTS_THROUGH_KINESIS.
"""

import itertools
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.app.wiring_consume import consuming
from collector.consume.limits import ConsumeLimits
from collector.database.engine import make_engine
from collector.database.url import database_url
from collector.query.audit import run_audit
from collector.settings import load_settings

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "consume"))
from local_aws import CREDENTIALS, REGION, FaultyAws, LocalAws, fails_at_random, moto_process, throttling
from real_shards import merge, resharding_aws, split
from rig import BYBIT_LINEAR, DEADLINE_S, Rig, running, wait_until
from stream_histories import NOT_COMPARED, TABLES

ROOT = Path(__file__).resolve().parents[2]
CHANNELS = ["book.50", "trade", "ohlcv.1m"]
BURST = 20  # updates of each symbol at once
MANY = 1_000_000
FEW = 20_000


def compare(direct: str, consumed: str) -> int:
    """Compare every row of both databases in the order of its market; return how many there are."""
    count = 0
    with engine_of(direct) as one, engine_of(consumed) as other:
        for table in (
            *(TABLES.hot, TABLES.levels, TABLES.trades, TABLES.ohlcv, TABLES.ohlcv_corrections),
            *(TABLES.coverage, TABLES.accounting, TABLES.events, TABLES.rejected, TABLES.sessions),
        ):
            columns = [column for column in table.columns if column.name not in NOT_COMPARED]
            names = [
                sa.func.coalesce(table.c[name], "")  # NULLs come first in one database, last in the other
                for name in ("exchange", "symbol")
                if name in table.columns
            ]
            query = sa.select(*columns).order_by(*names, *table.primary_key.columns)
            if table is TABLES.sessions:
                query = query.where(table.c.wanted.not_like('%"consume"%'))
            rows = itertools.zip_longest(one.execute(query), other.execute(query))
            for place, (expected, found) in enumerate(rows):
                assert found == expected, (table.name, place)
                count += 1
    return count


@contextmanager
def engine_of(url: str) -> Iterator[sa.Connection]:
    engine = make_engine(database_url(url), read_only=True)
    try:
        with engine.connect() as connection:
            yield connection.execution_options(stream_results=True)
    finally:
        engine.dispose()


def symbols(count: int) -> list[str]:
    return [f"X{number:02d}/USDT:USDT" for number in range(count)]


@contextmanager
def collecting_into(
    stream_url: str, direct: str, form: str, monkeypatch: pytest.MonkeyPatch, *, markets: int, **more: Any
) -> Iterator[Rig]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with running(
        direct,
        symbols(markets),
        market=BYBIT_LINEAR,
        followers=[{"url": stream_url, "records": form}],
        exchanges__bybit__channels=CHANNELS,
        **more,
    ) as rig:
        yield rig


def drain(rig: Rig) -> None:
    """Let all that was collected reach the stream, and end the session there."""
    rig.simulator.pause()
    rig.wait_for_all()

    def is_out() -> bool:
        (state,) = rig.collector.view().followers
        return not (state.in_memory or state.spooled or state.spilling)

    wait_until(is_out, "everything is in the stream", DEADLINE_S * 10)
    report = rig.collector.stop(deadline_s=60.0)
    assert report.good, report
    (state,) = report.followers
    assert (state.in_memory, state.spooled, state.dropped, state.rejected) == (0, 0, 0, 0)


@pytest.mark.parametrize("form", ["batch", pytest.param("single", marks=pytest.mark.proof)])
def test_what_is_consumed_equals_what_was_collected(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct, consumed = str(tmp_path / "direct.db"), str(tmp_path / "consumed.db")
    with moto_process() as aws:
        url = f"kinesis://{REGION}/{aws.make_stream(shards=2)}?endpoint={aws.url}"
        with collecting_into(url, direct, form, monkeypatch, markets=3, updates_per_s=100.0) as rig:
            wait_until(lambda: rig.collector.writer.committed.rows > 150, "some rows")
            drain(rig)
        settings = load_settings(overrides={"database.url": consumed}, environ={}, env_file=None)
        with consuming(
            settings,
            url,
            begin="TRIM_HORIZON",
            dead_letters=tmp_path / "dead",
            wait=lambda seconds: bool(time.sleep(seconds)),
            limits=ConsumeLimits(call_every_s=0.0),
        ) as consumer:
            consumer.run(idle_s=0.0)
            assert not consumer.progress.counts.is_something_missing
    assert compare(direct, consumed) > 150
    found = run_audit(consumed)
    assert found.passed, found.findings


class Reader:
    """The command `consume`, killed and started again."""

    def __init__(self, url: str, database: str, folder: Path) -> None:
        self._words = ("consume", url, "--db", database, "--plain")
        self._folder = folder
        self.kills = 0
        self.process = self._start()

    def _start(self, *words: str) -> "subprocess.Popen[bytes]":
        with (self._folder / "consume.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-W", "error", str(ROOT / "run.py"), *self._words, *words],
                cwd=self._folder,
                env={**os.environ, **CREDENTIALS},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.kills += 1
        self.process = self._start()

    def finish(self) -> int:
        self.process.terminate()
        assert self.process.wait(120) == 0
        return self._start("--once").wait(3600)


@pytest.mark.proof
@pytest.mark.timeout(3600 * 3)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("form", "events"),
    [
        ("batch", int(os.environ.get("EVENTS_THROUGH_KINESIS", MANY))),
        ("single", int(os.environ.get("SINGLE_EVENTS_THROUGH_KINESIS", FEW))),
    ],
)
def test_nothing_is_lost_or_doubled_whatever_fails_on_the_way(
    form: str,
    events: int,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Partial failures, throttling, an endpoint dead for a minute, reshards, a reader killed ten times."""
    direct = str(tmp_path / "direct.db")
    consumed = str(tmp_path / "consumed.db")
    if database == "postgresql":
        consumed = request.getfixturevalue("postgres_url")
        subprocess.run([sys.executable, str(ROOT / "run.py"), "migrate", "up", "--db", consumed], check=True)
    began_s = time.monotonic()
    with resharding_aws() as aws, FaultyAws(aws.url) as proxy:
        stream = aws.make_stream(shards=2)
        proxy.plan(fails_at_random(0.2), times=None, share=0.2)
        proxy.plan(throttling(), times=None, share=0.1)
        proxy.plan(throttling(), action="GetRecords", times=None, share=0.1)
        url = f"kinesis://{REGION}/{stream}?endpoint={proxy.url}"
        reader = Reader(url, consumed, tmp_path)
        try:
            with collecting_into(url, direct, form, monkeypatch, markets=20, updates_per_s=0.0) as rig:
                trouble(rig, aws, proxy, stream, reader, events)
                drain(rig)
            print(f"{events:,} events in the stream after {time.monotonic() - began_s:.0f} s")
            proxy.be_well()
            assert reader.finish() == 0
        finally:
            reader.process.kill()
            reader.process.wait()
    assert reader.kills == 10
    rows = compare(direct, consumed)
    assert rows > events / 2  # some states of a book are merged with the next
    print(f"{rows:,} rows compared after {time.monotonic() - began_s:.0f} s, {proxy.failed:,} calls failed")
    found = run_audit(consumed)
    assert found.passed, found.findings


def trouble(rig: Rig, aws: LocalAws, proxy: FaultyAws, stream: str, reader: Reader, events: int) -> None:
    """Publish so many events; at times of their own, everything fails that can."""
    chance = random.Random(7)
    kills = sorted(chance.uniform(0.02, 0.98) for _ in range(10))
    todo: list[tuple[float, Any]] = [(at, reader.kill) for at in kills]
    todo += [(at, lambda: split(aws, stream)) for at in (0.15, 0.5)]
    todo += [(at, lambda: merge(aws, stream)) for at in (0.35, 0.8)]
    todo.sort(key=lambda one: one[0])
    outage = threading.Thread(target=lambda: (proxy.die(), time.sleep(60.0), proxy.come_back()))
    while (done := received(rig)) < events or todo:
        while todo and done >= todo[0][0] * events:
            todo.pop(0)[1]()
        if done > 0.6 * events and not outage.ident:
            outage.start()
        rig.simulator.prepare(BURST)
        rig.simulator.release()
        # The collector is not what is tried here: it is given what it can take.
        wait_until(lambda: behind(rig) < 20_000, "the collector keeps up", 600.0)
    outage.join()


def received(rig: Rig) -> int:
    counts, _ = rig.collector.buffer.snapshot()
    return sum(one.received for one, *_ in counts.values())


def behind(rig: Rig) -> int:
    return received(rig) - rig.collector.writer.committed.rows
