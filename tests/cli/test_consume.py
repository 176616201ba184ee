"""The command `consume` against a stream on this machine."""

import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from collector.sinks.avro import Form, records_of
from collector.sinks.contract import WriteSet

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "consume"))
from local_aws import CREDENTIALS, REGION, FaultyAws, LocalAws, closing_client, refusal
from program import Run, start
from real_shards import merge, resharding_aws, split
from stream_histories import cell, history, stored_in, write_directly


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with resharding_aws() as server:
        yield server


def at(endpoint: str, stream: str) -> str:
    return f"kinesis://{REGION}/{stream}?endpoint={endpoint}"


def put(aws: LocalAws, stream: str, write_sets: Sequence[WriteSet]) -> int:
    records = [record for one in write_sets for record in records_of(one, Form.BATCH)]
    with closing_client(aws.client()) as client:
        told = [{"PartitionKey": one.partition_key, "Data": one.data} for one in records]
        client.put_records(StreamName=stream, Records=told)
    return len(records)


def test_it_reads_what_is_there_over_reshards_and_ends(aws: LocalAws, tmp_path: Path, run: Run) -> None:
    direct, database = f"sqlite:///{tmp_path / 'direct.db'}", f"sqlite:///{tmp_path / 'live.db'}"
    write_sets = history(21)
    write_directly(direct, write_sets)
    stream = aws.make_stream(shards=2)
    count = put(aws, stream, write_sets[:4])
    split(aws, stream)
    count += put(aws, stream, write_sets[4:8])
    merge(aws, stream)
    count += put(aws, stream, write_sets[8:])
    words = ("consume", at(aws.url, stream), "--db", "live.db", "--once")
    done = run(*words, **CREDENTIALS)
    assert done.returncode == 0, done.stderr
    assert f"{count} records read" in done.stdout
    assert stored_in(database) == stored_in(direct)
    assert cell(database, "SELECT count(*) FROM collector_stream_positions WHERE finished = 1") == 3
    told = "SELECT end_cause FROM collector_sessions WHERE wanted LIKE '%consume%'"
    assert cell(database, told) == "stop"
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in done.stderr
    again = run(*words, **CREDENTIALS)
    assert (again.returncode, again.stdout) == (0, "0 records read, 0 rows stored in 0 parts\n")


def test_what_is_unreadable_is_told_and_makes_the_exit_code(aws: LocalAws, tmp_path: Path, run: Run) -> None:
    stream = aws.make_stream()
    put(aws, stream, history(22, batches=2))
    with closing_client(aws.client()) as client:
        client.put_record(StreamName=stream, PartitionKey="bybit:BTC/USDT:USDT", Data=b"Obj\x01nothing")
    words = ("--db", "live.db", "--until-idle", "0.1", "--dead-letters", "dead")
    done = run("consume", at(aws.url, stream), *words, **CREDENTIALS)
    assert done.returncode == 1, done.stderr
    assert "1 record is among the dead letters" in done.stdout
    assert "something is missing: coverage shows the hole" in done.stdout
    assert json.loads((tmp_path / "dead").read_text())["partition_key"] == "bybit:BTC/USDT:USDT"
    (line,) = [json.loads(one) for one in done.stderr.splitlines() if "consume.dead_letter" in one]
    assert line["level"] == "error"


@pytest.fixture
def half_read(aws: LocalAws, tmp_path: Path, run: Run) -> Iterator[tuple[str, ...]]:
    """Fill half a stream; once somebody has read that, the rest is put and must be read by the next one."""
    direct, database = f"sqlite:///{tmp_path / 'direct.db'}", f"sqlite:///{tmp_path / 'live.db'}"
    write_sets = history(23)
    write_directly(direct, write_sets)
    stream = aws.make_stream()
    put(aws, stream, write_sets[:5])
    words = ("consume", at(aws.url, stream), "--db", "live.db")
    yield words
    put(aws, stream, write_sets[5:])
    assert run(*words, "--once", **CREDENTIALS).returncode == 0
    assert stored_in(database) == stored_in(direct)


def test_sigterm_ends_it_in_order(half_read: tuple[str, ...], tmp_path: Path, run: Run) -> None:
    def end() -> None:
        wait_for_parts(tmp_path / "live.db")
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=end)
    thread.start()
    done = run(*half_read, **CREDENTIALS)
    thread.join()
    assert done.returncode == 0, done.stderr
    assert "records read" in done.stdout
    told = "SELECT end_cause FROM collector_sessions WHERE wanted LIKE '%consume%'"
    assert cell(f"sqlite:///{tmp_path / 'live.db'}", told) == "stop"


@pytest.mark.proof
def test_a_kill_costs_nothing(half_read: tuple[str, ...], tmp_path: Path) -> None:
    process = start(*half_read, cwd=tmp_path, **CREDENTIALS)
    wait_for_parts(tmp_path / "live.db")
    process.kill()
    process.communicate(timeout=60)


def wait_for_parts(path: Path) -> None:
    until_s = time.monotonic() + 60
    while not parts_in(path):
        assert time.monotonic() < until_s
        time.sleep(0.02)


def parts_in(path: Path) -> int:
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM collector_batches").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "yesterday"), "--from: 'yesterday' is no time"),
        (("--db", "mysql://host/database"), "mysql"),
        (("--dead-letters", "no/such/folder/file"), "no/such/folder/file cannot be used"),
    ],
)
def test_mistakes_are_told_in_a_line(run: Run, words: tuple[str, ...], told: str) -> None:
    done = run("consume", at("http://127.0.0.1:9", "any"), "--once", *words, **CREDENTIALS)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_stream_that_is_not_there_or_away_or_not_ours(aws: LocalAws, tmp_path: Path, run: Run) -> None:
    def read(endpoint: str, stream: str = "any") -> tuple[int, str]:
        done = run("consume", at(endpoint, stream), "--db", "live.db", "--once", **CREDENTIALS)
        return done.returncode, done.stderr

    code, log = read(aws.url, "no-such-stream")
    assert (code, "create the stream, or correct region and name" in log) == (2, True), log
    with FaultyAws(aws.url) as proxy:
        proxy.plan(refusal(400, "AccessDeniedException", "no"), action=None, times=None)
        code, log = read(proxy.url)
        assert (code, "lacks a right" in log) == (2, True), log
    code, log = read(proxy.url)
    assert (code, "Could not connect" in log) == (75, True), log
    code, log = read("http://127.0.0.1:9", "no/such/name")
    assert (code, "found the stream 'no/such/name'" in log) == (2, True), log
    assert not (tmp_path / "live.db").exists()
