"""The command `consume` against a stream on this machine, as a person runs it."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collector.sinks.avro import Form, records_of

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from histories import cell, history, stored_in, write_directly
from local_aws import CREDENTIALS, REGION, FaultyAws, LocalAws, closing_client, refusal
from real_shards import merge, resharding_aws, split

ROOT = Path(__file__).resolve().parents[2]
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COLLECTOR_"))}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with resharding_aws() as server:
        yield server


def start(endpoint: str, stream: str, *words: str, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            *(sys.executable, "-W", "error", str(ROOT / "run.py")),
            *("consume", f"kinesis://{REGION}/{stream}?endpoint={endpoint}", *words),
        ],
        cwd=cwd,
        env={**ENVIRON, **CREDENTIALS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_once(endpoint: str, stream: str, *words: str, cwd: Path) -> tuple[int, str, str]:
    with start(endpoint, stream, "--once", *words, cwd=cwd) as process:
        out, log = process.communicate(timeout=100)
    return process.returncode, out, log


def put(aws: LocalAws, stream: str, write_sets: list[object]) -> int:
    records = [record for one in write_sets for record in records_of(one, Form.BATCH)]  # type: ignore[arg-type]
    with closing_client(aws.client()) as client:
        for record in records:
            client.put_record(StreamName=stream, PartitionKey=record.partition_key, Data=record.data)
    return len(records)


def test_it_reads_what_is_there_over_reshards_and_ends(aws: LocalAws, tmp_path: Path) -> None:
    direct, database = f"sqlite:///{tmp_path / 'direct.db'}", f"sqlite:///{tmp_path / 'live.db'}"
    write_sets = history(21)
    write_directly(direct, write_sets)
    stream = aws.make_stream(shards=2)
    count = put(aws, stream, write_sets[:4])
    split(aws, stream)
    count += put(aws, stream, write_sets[4:8])
    merge(aws, stream)
    count += put(aws, stream, write_sets[8:])
    code, out, log = run_once(aws.url, stream, "--db", "live.db", cwd=tmp_path)
    assert code == 0, log
    assert f"{count} records read" in out
    assert stored_in(database) == stored_in(direct)
    assert cell(database, "SELECT count(*) FROM collector_stream_positions WHERE finished = 1") == 3
    told = "SELECT end_cause FROM collector_sessions WHERE wanted LIKE '%consume%'"
    assert cell(database, told) == "stop"
    code, out, _ = run_once(aws.url, stream, "--db", "live.db", cwd=tmp_path)
    assert (code, out) == (0, "0 records read, 0 rows stored in 0 parts\n")


def test_what_is_unreadable_is_told_and_makes_the_exit_code(aws: LocalAws, tmp_path: Path) -> None:
    stream = aws.make_stream()
    put(aws, stream, history(22, batches=2))
    with closing_client(aws.client()) as client:
        client.put_record(StreamName=stream, PartitionKey="bybit:BTC/USDT:USDT", Data=b"Obj\x01nothing")
    code, out, log = run_once(aws.url, stream, "--db", "live.db", "--dead-letters", "dead", cwd=tmp_path)
    assert code == 1, log
    assert "1 records are among the dead letters" in out
    assert "1 times something is missing: coverage shows the holes" in out
    assert json.loads((tmp_path / "dead").read_text())["partition_key"] == "bybit:BTC/USDT:USDT"
    (line,) = [json.loads(one) for one in log.splitlines() if "consume.dead_letter" in one]
    assert line["level"] == "error"


def test_sigterm_ends_it_in_order_and_a_kill_costs_nothing(aws: LocalAws, tmp_path: Path) -> None:
    direct, database = f"sqlite:///{tmp_path / 'direct.db'}", f"sqlite:///{tmp_path / 'live.db'}"
    write_sets = history(23, batches=12)
    write_directly(direct, write_sets)
    stream = aws.make_stream()
    for number, how in enumerate((signal.SIGKILL, signal.SIGTERM)):
        put(aws, stream, write_sets[number * 6 : number * 6 + 6])
        before = parts_in(tmp_path / "live.db")
        with start(aws.url, stream, "--db", "live.db", cwd=tmp_path) as process:
            wait_for_more_parts(tmp_path / "live.db", before)
            process.send_signal(how)
            out, log = process.communicate(timeout=60)
        assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 0), log
        assert ("records read" in out) == (how == signal.SIGTERM)
    put(aws, stream, write_sets[12:])
    assert run_once(aws.url, stream, "--db", "live.db", cwd=tmp_path)[0] == 0
    assert stored_in(database) == stored_in(direct)


def wait_for_more_parts(path: Path, before: int) -> None:
    until_s = time.monotonic() + 60
    while parts_in(path) <= before:
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
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    code, _, log = run_once("http://127.0.0.1:9", "any", *words, cwd=tmp_path)
    assert code == 2
    assert re.search(rf"error: .*{told}|{told}", log)
    assert "Traceback" not in log


def test_a_stream_that_is_not_there_or_away_or_not_ours(aws: LocalAws, tmp_path: Path) -> None:
    code, _, log = run_once(aws.url, "no-such-stream", "--db", "live.db", cwd=tmp_path)
    assert code == 2
    assert "create the stream, or correct region and name" in log
    with FaultyAws(aws.url) as proxy:
        proxy.plan(refusal(400, "AccessDeniedException", "no"), action=None, times=None)
        code, _, log = run_once(proxy.url, "any", "--db", "live.db", cwd=tmp_path)
        assert (code, "lacks a right" in log) == (2, True)
    code, _, log = run_once(proxy.url, "any", "--db", "live.db", cwd=tmp_path)
    assert code == 75, log
    assert not (tmp_path / "live.db").exists()
