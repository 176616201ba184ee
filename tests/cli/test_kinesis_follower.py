"""The program with a stream as its follower: stopped in an outage, the next start delivers what is left."""

import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from local_aws import CREDENTIALS, FaultyAws, LocalAws, moto_server

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, Run, config, count_rows, start, wait_for_rows

from collector.cli.commands.demo import demo_markets, demo_settings
from collector.simulator import Simulator
from collector.sinks.avro import Assembler

STREAM = "bitcoin-market-data"  # the one that a URL without a name means
WORDS = ("collect", "--plain", "--no-serve")


@pytest.fixture
def aws() -> Iterator[LocalAws]:
    with moto_server() as server:
        yield server


def sequences_in(database: Path) -> list[int]:
    question = "SELECT sequence FROM l2_training_data_practical ORDER BY id"
    with closing(sqlite3.connect(database)) as connection:
        return [number for (number,) in connection.execute(question)]


def sequences_of(aws: LocalAws) -> list[object]:
    """Return the books in the stream, each part once, as it is read."""
    assembler, seen, found = Assembler(), set[str](), list[object]()
    for record in aws.records(STREAM):
        part = assembler.take(record.data, record.sequence)
        if part is None or part.batch_id in seen:
            continue
        seen.add(part.batch_id)
        for rows in part.rows:
            if rows.table == "book":
                found += rows.columns["sequence"]
    return found


@pytest.mark.proof
def test_stopped_in_an_outage_it_delivers_the_rest_at_the_next_start(
    aws: LocalAws, simulator: Simulator, tmp_path: Path
) -> None:
    aws.make_stream(STREAM)
    database = tmp_path / "live.db"
    words = (*WORDS, "--config", config(tmp_path, simulator))
    with FaultyAws(aws.url) as proxy:
        url = f"kinesis://eu-central-1?endpoint={proxy.url}"
        debug = {**CREDENTIALS, "COLLECTOR_LOGGING__LEVEL": "debug"}
        process = start(*words, "--follower", url, cwd=tmp_path, **debug)
        wait_for_rows(database, process, 50)
        while not proxy.puts():
            assert process.poll() is None, process.communicate()
            signal.sigtimedwait([], 0.01)
        proxy.die()
        wait_for_rows(database, process, count_rows(database) + 100)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert f"follower kinesis://eu-central-1/{STREAM}?endpoint={proxy.url}: " in out
        assert "EndpointConnectionError" in err  # why its breaker opened
        assert not any(secret in out + err for secret in CREDENTIALS.values())
        (spool,) = (one for one in tmp_path.glob("live.db-spool-follower-*") if "-wal" not in one.name)
        assert spool.stat().st_size
        proxy.come_back()
        process = start(*words, "--follower", url, "--seconds", "2", cwd=tmp_path, **CREDENTIALS)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert sequences_of(aws) == sequences_in(database)
    assert list(tmp_path.glob("*spool*")) == []
    assert BTC in err


def test_without_the_extra_it_does_not_start(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    done = run(*WORDS, "--symbols", BTC, "--follower", "kinesis://eu-central-1", "--db", "live.db")
    assert (done.returncode, done.stdout) == (2, "")
    assert "this needs boto3: run `pip install -e '.[aws]'`" in done.stderr
    assert not (tmp_path / "live.db").exists()


def test_the_demo_has_the_followers_that_it_is_told() -> None:
    urls = ("kinesis://eu-central-1", "./second.db")
    with Simulator(symbols=demo_markets(), updates_per_s=1.0) as all_exchanges:
        settings = demo_settings(all_exchanges, "./demo.db", {"COLLECTOR_FOLLOWERS": "./mine.db"}, urls)
    assert tuple(one.url for one in settings.followers) == urls
