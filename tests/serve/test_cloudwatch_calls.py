"""Metrics go to CloudWatch by few calls; what a call did not bring is in the next one, and counted once."""

import gzip
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from collector.app.commit_measures import LAG_S
from collector.app.monitor import Checked
from collector.app.reporting import Moment, Phase
from collector.app.view import StreamView
from collector.aws import AwsError
from collector.errors import MissingExtra, UserError
from collector.events.batch import StreamKey
from collector.histogram import Histogram
from collector.serve.cloudwatch.calls import MOST_METRICS, MOST_REFUSALS, MetricsByCalls
from collector.serve.cloudwatch.changes import Changes
from collector.sinks.contract import AccountingState

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from local_aws import (
    CREDENTIALS,
    REGION,
    Answer,
    Fault,
    FaultyAws,
    Forward,
    LocalAws,
    Request,
    closing_client,
    cut_off,
    moto_server,
    refusal,
)
from serve_rig import KEY, everything

SECRET = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
PUT = "PutMetricData"
MOST_BYTES = 1_000_000
AT_S = 1_790_000_000
DENIED: Fault = refusal(403, "AccessDenied", f"User: x Credential={CREDENTIALS['AWS_ACCESS_KEY_ID']}/2026 no")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalAws]:
    with moto_server() as one:
        yield one


@pytest.fixture
def aws(server: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyAws]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", REGION)
    with FaultyAws(server.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", proxy.url)
        yield proxy


@pytest.fixture
def reporting(aws: FaultyAws, request: pytest.FixtureRequest) -> Iterator[MetricsByCalls]:
    """Report into a namespace of the test's own."""
    assert aws.port
    one = MetricsByCalls(request.node.name, Changes({"instance": "here"}), None)
    yield one
    one.close()


def accepted(_request: Request, _forward: Forward, _proxy: FaultyAws) -> Answer:
    """Take it, and tell nobody."""
    return Answer(200, b"{}")


def from_the_third(request: Request, forward: Forward, proxy: FaultyAws) -> Answer:
    """Refuse the third call."""
    if len(put(proxy)) == 3:
        return refusal(500, "InternalFailure")(request, forward, proxy)
    return forward(request)


def many_lags() -> Histogram:
    """Return a histogram with something in each bucket."""
    return Histogram.of(LAG_S).plus_all(np.array([*LAG_S, 1e6]))


def moment(checked: Checked) -> Moment:
    return Moment(replace(checked, at_ns=AT_S * 1_000_000_000), 0.1, Phase.RUNNING)


def received(number: int, checked: Checked | None = None) -> Moment:
    """Return a moment at which so much was received."""
    one = everything() if checked is None else checked
    (stream,) = one.view.streams
    counted = replace(stream, counts=replace(stream.counts, received=number))
    return moment(replace(one, view=replace(one.view, streams=(counted,))))


def put(aws: FaultyAws) -> list[dict[str, Any]]:
    """Return what each call said, whatever became of it."""
    calls = [one for one in aws.requests if one.action == PUT]
    return [
        json.loads(gzip.decompress(one.raw) if one.headers.get("Content-Encoding") == "gzip" else one.raw)
        for one in calls
    ]


def stored(server: LocalAws, namespace: str, name: str, **labels: str) -> dict[str, float]:
    """Return what CloudWatch has of a metric, over all time."""
    dimensions = [{"Name": one, "Value": value} for one, value in {"instance": "here", **labels}.items()]
    with closing_client(server.client("cloudwatch")) as client:
        (found,) = client.get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=dimensions,
            StartTime=AT_S - 60,
            EndTime=AT_S + 60,
            Period=120,
            Statistics=["Sum", "SampleCount", "Maximum"],
        )["Datapoints"]
    return {one: found[one] for one in ("Sum", "SampleCount", "Maximum")}


def test_cloudwatch_has_what_metrics_says(
    server: LocalAws, reporting: MetricsByCalls, request: pytest.FixtureRequest
) -> None:
    namespace = request.node.name
    one = everything()
    reporting(received(10, one))
    lags = one.view.commits.lag_s["bybit"].plus_all(np.full(20, 0.6))
    commits = replace(one.view.commits, lag_s={"bybit": lags})
    reporting(received(17, replace(one, view=replace(one.view, commits=commits))))
    labels = KEY._asdict()
    assert stored(server, namespace, "messages_received_total", **labels) == {
        "Sum": 17.0,
        "SampleCount": 2.0,
        "Maximum": 10.0,
    }
    assert stored(server, namespace, "messages_pending", **labels)["Maximum"] == 1.0
    found = stored(server, namespace, "exchange_lag_seconds", exchange="bybit")
    assert found["SampleCount"] == 23.0
    assert found["Sum"] == pytest.approx(5.55 + 20 * 0.6)
    assert (
        stored(server, namespace, "collector_kinesis_batch_size", follower="./second.db")["SampleCount"]
        == 3.0
    )


@pytest.mark.parametrize(("name", "is_full"), [("C", True), ("LONG" * 60, False)])
def test_thousands_of_metrics_take_few_calls_within_the_limits(
    aws: FaultyAws,
    reporting: MetricsByCalls,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    is_full: bool,
) -> None:
    monkeypatch.setenv("AWS_DISABLE_REQUEST_COMPRESSION", "true")  # so that sizes are those that count
    aws.plan(accepted, times=None, action=PUT)
    one = everything()
    keys = [StreamKey("bybit", f"{name}{number}/USDT:USDT", "book.50") for number in range(130)]
    streams = tuple(
        StreamView(key, "verified", AccountingState("s", *key, 1), None, 0, "", 0) for key in keys
    )
    commits = replace(one.view.commits, lag_s={f"exchange{n}": many_lags() for n in range(300)})
    reporting(moment(replace(one, view=replace(one.view, streams=streams, commits=commits))))
    counts = [len(call["MetricData"]) for call in put(aws)]
    assert sum(counts) > 300 + 9 * len(streams)
    assert (max(counts) == MOST_METRICS) == is_full
    assert 2 <= len(counts) <= 4
    assert max(len(request.raw) for request in aws.requests) <= MOST_BYTES
    assert all(len(datum.get("Values", ())) <= 150 for call in put(aws) for datum in call["MetricData"])


@pytest.mark.parametrize("fault", [cut_off, refusal(400, "Throttling"), refusal(500, "InternalFailure")])
def test_what_did_not_arrive_is_in_the_next_report_and_counted_once(
    aws: FaultyAws,
    server: LocalAws,
    reporting: MetricsByCalls,
    request: pytest.FixtureRequest,
    fault: Fault,
) -> None:
    namespace, labels = request.node.name, KEY._asdict()
    reporting(received(10))
    for number in (13, 17):
        aws.plan(fault, action=PUT)
        with pytest.raises(AwsError):
            reporting(received(number))
    reporting(received(20))
    found = stored(server, namespace, "messages_received_total", **labels)
    assert found == {"Sum": 20.0, "SampleCount": 2.0, "Maximum": 10.0}
    assert stored(server, namespace, "exchange_lag_seconds", exchange="bybit")["SampleCount"] == 3.0


def test_of_several_calls_those_that_arrived_are_not_counted_again(
    aws: FaultyAws,
    server: LocalAws,
    reporting: MetricsByCalls,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.serve.cloudwatch.calls.MOST_METRICS", 20)
    aws.plan(from_the_third, times=None, action=PUT)
    with pytest.raises(AwsError, match="InternalFailure"):
        reporting(received(10))
    reporting(received(10))
    assert len(put(aws)) > 3
    for name, total in (("messages_received_total", 10.0), ("messages_written_total", 4.0)):
        assert stored(server, request.node.name, name, **KEY._asdict())["Sum"] == total
    assert stored(server, request.node.name, "collector_kinesis_records_total", follower="./second.db") == {
        "Sum": 7.0,
        "SampleCount": 1.0,
        "Maximum": 7.0,
    }


def refusing(metric: str | None) -> Fault:
    """Refuse each call that has this metric; None: each call."""

    def fault(request: Request, forward: Forward, proxy: FaultyAws) -> Answer:
        names = [one["MetricName"] for one in put(proxy)[-1]["MetricData"]]
        if metric is not None and metric not in names:
            return forward(request)
        return refusal(400, "InvalidParameterValue", "A value is invalid.")(request, forward, proxy)

    return fault


def test_a_metric_that_is_refused_is_left_out_and_the_others_go_on(
    aws: FaultyAws, server: LocalAws, reporting: MetricsByCalls, request: pytest.FixtureRequest
) -> None:
    bad = "messages_pending"
    aws.plan(refusing(bad), times=None, action=PUT)
    with structlog.testing.capture_logs() as logs:
        reporting(received(10))
        first = len(put(aws))
        reporting(received(17))
        reporting(received(20))
    assert first > 3  # looked for by halves
    assert len(put(aws)) == first + 2  # and known from then on
    told = [one for one in logs if one["event"] == "report.metric_refused"]
    assert [(one["metric"], one["log_level"]) for one in told] == [(bad, "warning")]
    assert "InvalidParameterValue" in told[0]["error"]
    assert reporting.refused == 1
    labels = KEY._asdict()
    assert stored(server, request.node.name, "messages_received_total", **labels)["Sum"] == 20.0
    assert stored(server, request.node.name, "exchange_lag_seconds", exchange="bybit")["SampleCount"] == 3.0


def test_where_everything_is_refused_nothing_is_left_out_and_few_calls_are_made(
    aws: FaultyAws, server: LocalAws, reporting: MetricsByCalls, request: pytest.FixtureRequest
) -> None:
    """Such as for the name of the namespace."""
    aws.plan(refusing(None), times=None, action=PUT)
    for number in (10, 13):
        with pytest.raises(AwsError, match="InvalidParameterValue"):
            reporting(received(number))
    assert len(put(aws)) <= 2 * MOST_REFUSALS
    assert reporting.refused == 0
    aws.be_well()
    reporting(received(17))
    assert stored(server, request.node.name, "messages_received_total", **KEY._asdict())["Sum"] == 17.0


def test_a_refusal_tells_what_to_do_and_no_credential(aws: FaultyAws, reporting: MetricsByCalls) -> None:
    aws.plan(DENIED, action=PUT)
    with pytest.raises(AwsError) as caught:
        reporting(received(1))
    text = str(caught.value)
    assert "AccessDenied" in text
    assert "lacks a right" in text
    assert SECRET not in text
    assert CREDENTIALS["AWS_ACCESS_KEY_ID"] not in text


def test_credentials_that_are_renewed_are_taken(
    aws: FaultyAws, reporting: MetricsByCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.plan(refusal(400, "ExpiredTokenException", "expired"), action=PUT)
    with pytest.raises(AwsError, match="the credentials have expired"):
        reporting(received(1))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIARENEWED0001")
    reporting(received(1))
    keys = [request.headers["Authorization"] for request in aws.requests]
    assert ["AKIARENEWED0001" in key for key in keys] == [False, True]


def test_without_a_region_the_message_says_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(UserError, match=r"metrics\.cloudwatch\.region: no region is named"):
        MetricsByCalls("Collector", Changes({}), None)


def test_without_the_extra_the_start_is_refused_and_the_extra_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtra, match=r"this needs boto3: .*\[aws\]"):
        MetricsByCalls("Collector", Changes({}), None)
