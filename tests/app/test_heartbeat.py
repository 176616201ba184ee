"""Heartbeats tell what /health knows, reach a second stream, and hold nothing up."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.app.heartbeat import Heartbeats, heartbeat_of
from collector.app.monitor import Checked
from collector.app.reporting import Moment, Phase
from collector.app.view import StreamView, View, WriterView
from collector.app.wiring_writer import heartbeats_of
from collector.aws import AwsError, make_client
from collector.events.batch import StreamKey
from collector.health.facts import Facts, MachineFacts
from collector.health.limits import HealthLimits
from collector.health.rules import judge
from collector.settings import load_settings
from collector.simulator import Simulator
from collector.sinks.avro.heartbeat import read_heartbeat
from collector.sinks.contract import AccountingState, SessionState

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
sys.path.insert(0, str(Path(__file__).parents[1]))
from local_aws import CREDENTIALS, REGION, FaultyAws, LocalAws, hang, moto_server, partial_failure, refusal
from rig import BTC, Rig, wait_until

SESSION = SessionState("session-1", 1_000, "1.2.3", "host-1", 77, "{}")
KEY = StreamKey("bybit", BTC, "book.50")
TRADES = StreamKey("bybit", BTC, "trade")
WRITER = WriterView(1, 2, 0, 0.01, None, 1, 1000)
AT_MS = 1_790_000_000_123


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with moto_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def moment(facts: Facts, phase: Phase = Phase.RUNNING, ago_s: float = 0.25) -> Moment:
    counts = AccountingState("s", *KEY, received=10, written=6, pending=3, dropped=1)
    streams = (
        StreamView(KEY, "verified", counts, None, 0, "", 0),
        StreamView(TRADES, "missing", AccountingState("s", *TRADES), None, 0, "", 0),
    )
    view = View("session-1", "./x.db", 5.0, True, streams, {}, WRITER, (), 0, None)
    health = judge(facts, HealthLimits())
    return Moment(Checked(view, MachineFacts(), health, 9_000_000_000, 2_000_000_000), ago_s, phase)


WELL = Facts(("bybit",), (), commit_age_s=0.1, buffer_max_rows=1000)


def test_it_tells_what_health_knows() -> None:
    facts = replace(WELL, database_error="no route to postgresql://me:hidden-word@db")

    def masked(text: str) -> str:
        return text.replace("hidden-word", "**")

    told = heartbeat_of(moment(facts, Phase.STOPPING), SESSION, 3, AT_MS, 10.0, masked)
    assert (told.session_id, told.host, told.pid, told.version) == ("session-1", "host-1", 77, "1.2.3")
    assert (told.number, told.timestamp, told.every_s) == (3, AT_MS, 10.0)
    assert (told.phase, told.uptime_s) == ("stopping", 5.0)
    assert (told.since_s, told.checked_ago_s) == (7.25, 0.25)
    assert (told.streams_asked_for, told.streams_verified) == (2, 1)
    assert (told.received, told.written, told.pending, told.dropped) == (10, 6, 3, 1)
    assert told.status == "unhealthy"  # nothing of what is asked for is verified
    parts = {one.name: one for one in told.parts}
    assert parts.keys() == {one.name for one in moment(facts).checked.health.parts}
    assert parts["database"].status == "degraded"
    assert parts["database"].reason == "it refuses: no route to postgresql://me:**@db"
    assert any(reason.startswith("database: it refuses") for reason in told.reasons)
    assert "hidden-word" not in repr(told)


def test_an_old_check_is_none_of_now() -> None:
    told = heartbeat_of(moment(WELL, ago_s=40.0), SESSION, 1, 1, 10.0)
    assert told.status == "unhealthy"
    assert told.reasons[0] == "the last check was 40 s ago: what follows is old"


def heartbeats(proxy: FaultyAws, stream: str) -> Heartbeats:
    def connect() -> Any:
        return make_client("kinesis", REGION, proxy.url, call_timeout_s=4.0)

    return Heartbeats(stream, SESSION, 10.0, connect, str)


def test_one_that_does_not_arrive_is_missing_in_the_numbers(aws: LocalAws) -> None:
    stream = aws.make_stream()
    with FaultyAws(aws.url) as proxy:
        one = heartbeats(proxy, stream)
        one(moment(WELL))
        for fault, words in (
            (refusal(400, "ProvisionedThroughputExceededException"), "Rate exceeded"),
            (partial_failure([0]), "ProvisionedThroughputExceededException: Rate exceeded"),
            (hang, "ReadTimeoutError"),
        ):
            proxy.plan(fault)
            with pytest.raises(AwsError, match=words):
                one(moment(WELL))
        one(moment(WELL))
        one.close()
    got = aws.records(stream)
    assert [read_heartbeat(record.data)["number"] for record in got] == [1, 5]
    assert {record.key for record in got} == {"host-1"}


def test_credentials_that_are_renewed_are_looked_for(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = aws.make_stream()
    with FaultyAws(aws.url) as proxy:
        one = heartbeats(proxy, stream)
        proxy.plan(refusal(400, "ExpiredTokenException", "expired"))
        with pytest.raises(AwsError, match="the credentials have expired"):
            one(moment(WELL))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIARENEWED0002")
        one(moment(WELL))
        one.close()
        used = ["AKIARENEWED0002" in request.headers["Authorization"] for request in proxy.requests]
    assert used == [False, True]


def test_a_stream_that_is_not_there_is_told_with_what_to_do(aws: LocalAws) -> None:
    with FaultyAws(aws.url) as proxy:
        one = heartbeats(proxy, "no-such-stream")
        with pytest.raises(AwsError, match=r"ResourceNotFoundException.*create the stream"):
            one(moment(WELL))
        one.close()


def reporters(*followers: object) -> list[str]:
    settings = load_settings(
        overrides={"exchanges.bybit.symbols": [BTC], "followers": list(followers)}, environ={}, env_file=None
    )
    return [one.name for one in heartbeats_of(settings, SESSION)]


def test_each_stream_that_a_follower_names_gets_them_once() -> None:
    url = "kinesis://eu-central-1/market"
    assert reporters("./second.db") == []
    assert reporters(url, f"{url}-2") == ["heartbeat kinesis://eu-central-1/ingestor-heartbeat"]
    assert reporters({"url": url, "heartbeat": None}) == []
    assert reporters(
        url, "kinesis://us-east-1/market", {"url": f"{url}-2", "heartbeat": {"stream": "own"}}
    ) == [
        "heartbeat kinesis://eu-central-1/ingestor-heartbeat",
        "heartbeat kinesis://us-east-1/ingestor-heartbeat",
        "heartbeat kinesis://eu-central-1/own",
    ]


def test_a_collector_beats_from_its_start_to_its_end_which_is_told(aws: LocalAws, tmp_path: Path) -> None:
    data, beats = aws.make_stream(), aws.make_stream()
    follower = {
        "url": f"kinesis://{REGION}/{data}?endpoint={aws.url}",
        "heartbeat": {"stream": beats, "every_s": 0.1},
    }
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=100.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC], health__every_s=0.1, followers=[follower])
        rig.collector.start()
        try:
            rig.wait_until_verified(20)
            wait_until(lambda: rig.collector.view().reports[0].sent > 2, "heartbeats")
            wait_until(lambda: rig.collector.view().followers[0].rows > 0, "rows in the stream")
            view = rig.collector.view()
        finally:
            report = rig.collector.stop()
    told = [read_heartbeat(record.data) for record in aws.records(beats)]
    assert [one["number"] for one in told] == list(range(1, len(told) + 1))
    assert {one["session_id"] for one in told} == {report.session_id}
    *before, last = [one["phase"] for one in told]
    assert set(before) <= {"running", "stopping"}
    assert (before[0], last) == ("running", "stopped")
    for term in ("received", "written", "pending", "dropped"):
        assert told[-1][term] == sum(getattr(state, term) for state in report.accounting)
    assert told[-1]["status"] == told[-2]["status"]
    (state,) = view.reports
    assert (state.name, state.failed) == (f"heartbeat kinesis://{REGION}/{beats}?endpoint={aws.url}", 0)
    (follower_state,) = view.followers
    assert follower_state.puts is not None
    assert follower_state.puts.records == follower_state.puts.batch_sizes.total > 0
