"""A sink puts write sets into a stream whatever fails on the way: real sockets, a server on this machine."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))
from local_aws import (
    CREDENTIALS,
    Fault,
    FaultyAws,
    LocalAws,
    cut_off,
    fails_at_random,
    hang,
    lost_answer,
    moto_server,
    partial_failure,
    refusal,
    throttling,
)
from stream_rig import MARKETS, REGION, expected_ids, of_markets, parts_of_stream, sink_at, trade_ids

from collector.errors import SinkError
from collector.sinks.kinesis.sink import KinesisSink
from collector.sinks.options import StreamOptions

Make = Callable[..., KinesisSink]


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with moto_server() as server:
        yield server


@pytest.fixture
def proxy(aws: LocalAws) -> Iterator[FaultyAws]:
    with FaultyAws(aws.url) as one:
        yield one


@pytest.fixture
def stream(aws: LocalAws) -> str:
    return aws.make_stream(shards=2)


@pytest.fixture
def make(proxy: FaultyAws, stream: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Make]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    made: list[KinesisSink] = []

    def make_one(**options: object) -> KinesisSink:
        options.setdefault("dead_letters", str(tmp_path / "dead.jsonl"))
        made.append(sink_at(proxy.url, stream, **options))
        return made[-1]

    yield make_one
    proxy.be_well()
    for one in made:
        one.close()


def check(aws: LocalAws, stream: str, numbers: range, rows: int = 4) -> None:
    parts = parts_of_stream(aws.records(stream))
    for symbol in MARKETS:
        assert trade_ids(parts, symbol) == expected_ids(symbol, numbers, rows)


@pytest.mark.parametrize("form", ["batch", "single"])
def test_what_is_written_is_read_in_order(aws: LocalAws, stream: str, make: Make, form: str) -> None:
    sink = make(records=form)
    for number in range(3):
        sink.write(of_markets(number))
    check(aws, stream, range(3))
    counts = sink.put_counts
    assert (counts.records, counts.rows) == ((9, 36) if form == "batch" else (45, 36))
    assert counts.bytes == sum(len(one.data) + len(one.key) for one in aws.records(stream))
    assert (counts.batch_sizes.count, counts.put_times_s.count) == (3, 3)
    assert counts.batch_sizes.total == counts.records


@pytest.mark.parametrize("form", ["batch", "single"])
def test_records_that_fail_are_sent_again_before_what_comes_after_them(
    aws: LocalAws, proxy: FaultyAws, stream: str, make: Make, form: str
) -> None:
    sink = make(records=form)
    proxy.plan(fails_at_random(0.5), times=20)
    proxy.plan(partial_failure([0], "InternalFailure"), times=2)
    for number in range(4):
        sink.write(of_markets(number))
    check(aws, stream, range(4))
    counts = sink.put_counts
    assert counts.records == len(aws.records(stream))  # none twice
    assert counts.partial_failures > 2
    assert counts.throttles > 1
    assert counts.failed_records >= counts.partial_failures
    assert counts.errors == 0


def test_a_market_has_one_record_in_a_request_and_more_in_the_next(
    aws: LocalAws, proxy: FaultyAws, stream: str, make: Make
) -> None:
    sink = make()
    sink.write(of_markets(0, rows=2_500))
    assert [[one["PartitionKey"] for one in request] for request in proxy.puts()] == [
        [f"bybit:{symbol}" for symbol in MARKETS]
    ] * 3
    check(aws, stream, range(1), rows=2_500)


def test_a_request_has_at_most_500_records(aws: LocalAws, proxy: FaultyAws, stream: str, make: Make) -> None:
    make(records="single").write(of_markets(0, rows=300))
    assert [len(one) for one in proxy.puts()] == [500, 403]
    check(aws, stream, range(1), rows=300)


@pytest.mark.parametrize(
    "fault",
    [
        throttling(),
        refusal(429, "TooManyRequestsException"),
        partial_failure(range(500)),
    ],
)
def test_throttling_is_waited_out(
    aws: LocalAws, proxy: FaultyAws, stream: str, make: Make, fault: Fault
) -> None:
    sink = make()
    proxy.plan(fault, times=5)
    sink.write(of_markets(0))
    check(aws, stream, range(1))
    assert (sink.put_counts.throttles, sink.put_counts.errors) == (5, 0)


def test_throttling_without_end_is_left_to_the_breaker_and_goes_on_where_it_was(
    aws: LocalAws, proxy: FaultyAws, stream: str, make: Make
) -> None:
    sink = make()
    proxy.plan(partial_failure([1, 2]))
    proxy.plan(throttling(), times=None)
    with pytest.raises(SinkError, match="2 records wait: ProvisionedThroughputExceededException") as caught:
        sink.write(of_markets(0))
    assert caught.value.transient
    proxy.be_well()
    sink.write(of_markets(0))
    check(aws, stream, range(1))
    assert len(aws.records(stream)) == 3  # the one that was taken is not sent again


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (refusal(500, "InternalFailure", "Internal service failure"), "InternalFailure"),
        (refusal(503, "ServiceUnavailable", "busy"), "ServiceUnavailable: busy"),
        (cut_off, "ConnectionClosedError"),
        (lost_answer, "ConnectionClosedError"),
    ],
)
def test_an_outage_is_told_and_may_be_tried_again(
    aws: LocalAws, proxy: FaultyAws, stream: str, make: Make, fault: Fault, told: str
) -> None:
    sink = make()
    proxy.plan(fault)
    with pytest.raises(SinkError, match=told) as caught:
        sink.write(of_markets(0))
    assert caught.value.transient
    assert sink.put_counts.errors == 1
    sink.write(of_markets(0))
    check(aws, stream, range(1))


def test_a_dead_endpoint_is_named(proxy: FaultyAws, make: Make) -> None:
    sink = make()
    proxy.die()
    with pytest.raises(SinkError, match=f"EndpointConnectionError: .*{proxy.url}") as caught:
        sink.write(of_markets(0))
    assert caught.value.transient
    proxy.come_back()
    sink.write(of_markets(0))


def test_a_hanging_call_is_broken_off_at_once(
    aws: LocalAws, proxy: FaultyAws, stream: str, make: Make
) -> None:
    sink = make(call_timeout_s=600.0)
    sink.write(of_markets(0))
    proxy.plan(hang)
    errors: list[SinkError] = []

    def write() -> None:
        try:
            sink.write(of_markets(1))
        except SinkError as error:
            errors.append(error)

    writing = threading.Thread(target=write)
    writing.start()
    while proxy.failed < 1:
        time.sleep(0.005)
    assert writing.is_alive()
    began_s = time.monotonic()
    sink.abort()
    writing.join(30)
    assert not writing.is_alive()
    assert time.monotonic() - began_s < 10.0  # far from the call's own timeout
    assert "broken off" in str(errors[0])
    assert errors[0].transient
    proxy.be_well()
    sink.write(of_markets(1))  # the call that hung is over
    check(aws, stream, range(2))


def test_a_hanging_call_ends_within_the_time_for_a_call(proxy: FaultyAws, make: Make) -> None:
    sink = make(call_timeout_s=0.5)
    proxy.plan(hang)
    began_s = time.monotonic()
    with pytest.raises(SinkError, match="ReadTimeoutError"):
        sink.write(of_markets(0))
    assert time.monotonic() - began_s < 10.0


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("ResourceNotFoundException", "create the stream, or correct region and name"),
        ("AccessDeniedException", r"lacks a right; deploy/aws/ has the policies"),
        ("ExpiredTokenException", "credentials have expired; renew them"),
        ("InvalidSignatureException", "check AWS_SECRET_ACCESS_KEY and the clock"),
    ],
)
def test_what_a_person_has_to_mend_is_told_and_waited_for(
    aws: LocalAws, proxy: FaultyAws, stream: str, make: Make, kind: str, words: str
) -> None:
    secret = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    sink = make()
    proxy.plan(refusal(400, kind, f"Credential={CREDENTIALS['AWS_ACCESS_KEY_ID']}/x Signature={secret}"))
    with pytest.raises(SinkError, match=words) as caught:
        sink.write(of_markets(0))
    assert caught.value.transient
    assert kind in str(caught.value)
    assert not any(one in str(caught.value) + repr(sink) for one in CREDENTIALS.values())
    sink.write(of_markets(0))  # once it is mended
    check(aws, stream, range(1))


def test_without_credentials_it_says_which_are_looked_for(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sink = make()
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none either"))
    with pytest.raises(SinkError, match="no credentials were found; set AWS_PROFILE") as caught:
        sink.write(of_markets(0))
    assert caught.value.transient
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    sink.write(of_markets(0))  # they are looked for anew


def test_rows_that_no_record_can_hold_are_refused_before_anything_is_put(
    proxy: FaultyAws, make: Make
) -> None:
    sink = make()
    bad = of_markets(0, columns={"price": [1.0, "dear", 2.0, 3.0]})
    with pytest.raises(SinkError, match="trades") as caught:
        sink.write(bad)
    assert not caught.value.transient
    assert proxy.puts() == []
    assert "trades" in str(sink.refuses(bad.rows[0]))
    assert sink.refuses(of_markets(0).rows[0]) is None


def test_it_asks_for_the_stream_and_the_right_to_put_and_leaves_no_record(
    aws: LocalAws, proxy: FaultyAws, stream: str, make: Make
) -> None:
    sink = make()
    assert sink.examine() == f"{sink.name} is ACTIVE, with 2 shards, and takes records from here"
    proxy.plan(refusal(400, "AccessDeniedException", "no"), action="DescribeStreamSummary")
    assert "may not be asked for its state, and takes records" in sink.examine()
    proxy.plan(refusal(400, "AccessDeniedException", "User: x is not authorized"), action="PutRecord")
    with pytest.raises(SinkError, match="User: x is not authorized; the role or user lacks a right"):
        sink.examine()
    assert aws.records(stream) == []
    missing = sink_at(proxy.url, "no-such-stream")
    with pytest.raises(SinkError, match=r"no-such-stream.* not found.*; create the stream"):
        missing.examine()
    missing.close()


def test_the_endpoint_may_stand_in_the_environment(
    aws: LocalAws, stream: str, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make()  # for its credentials
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", aws.url)
    sink = KinesisSink(f"kinesis://{REGION}/{stream}", StreamOptions(dead_letters=str(tmp_path / "dead")))
    assert sink.name == f"kinesis://{REGION}/{stream}"
    sink.write(of_markets(0))
    sink.close()
    check(aws, stream, range(1))


def test_each_market_is_told_of_a_loss_with_the_next_that_it_gets(
    aws: LocalAws, stream: str, make: Make
) -> None:
    """Each may be in another shard, read at another time: what one is told the others do not know."""
    btc, eth, _ = MARKETS
    sink = make()
    sink.write(of_markets(0, markets=[btc, eth]))
    sink.write(replace(of_markets(1, markets=[btc]), is_after_loss=True))
    sink.write(of_markets(2, markets=[btc, eth]))
    sink.write(of_markets(3, markets=[btc, eth]))
    sink.write(of_markets(4, markets=[btc, eth], session="session-2"))
    parts = parts_of_stream(aws.records(stream))
    assert [one.is_after_loss for one in parts[f"bybit:{btc}"]] == [False, True, False, False, False]
    assert [one.is_after_loss for one in parts[f"bybit:{eth}"]] == [False, True, False, False]
