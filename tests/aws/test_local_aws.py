"""The faulty endpoint that other tests stand on does what it says, seen by a plain boto3 client."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

sys.path.insert(0, str(Path(__file__).parents[1]))
from local_aws import (
    CREDENTIALS,
    REGION,
    FaultyAws,
    LocalAws,
    closing_client,
    lost_answer,
    moto_process,
    moto_server,
    partial_failure,
    refusal,
    throttling,
)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with moto_server() as server:
        yield server


@pytest.fixture
def proxy(aws: LocalAws) -> Iterator[FaultyAws]:
    with FaultyAws(aws.url) as one:
        yield one


@pytest.fixture
def client(proxy: FaultyAws) -> Iterator[Any]:
    names = {name.lower(): value for name, value in CREDENTIALS.items()}
    config = Config(retries={"total_max_attempts": 1})
    session = boto3.session.Session()
    with closing_client(
        session.client("kinesis", region_name=REGION, endpoint_url=proxy.url, config=config, **names)
    ) as one:
        yield one


def put(client: Any, stream: str, *contents: bytes) -> dict[str, Any]:
    records = [{"Data": one, "PartitionKey": "key"} for one in contents]
    answer: dict[str, Any] = client.put_records(StreamName=stream, Records=records)
    return answer


def contents_of(aws: LocalAws, stream: str) -> list[bytes]:
    return [one.data for one in aws.records(stream)]


def test_the_records_that_fail_are_not_in_the_stream(aws: LocalAws, proxy: FaultyAws, client: Any) -> None:
    stream = aws.make_stream()
    proxy.plan(partial_failure([0, 2], "InternalFailure"))
    answer = put(client, stream, b"a", b"b", b"c", b"d")
    assert answer["FailedRecordCount"] == 2
    assert [one.get("ErrorCode") for one in answer["Records"]] == ["InternalFailure", None] * 2
    assert all("SequenceNumber" in answer["Records"][place] for place in (1, 3))
    assert contents_of(aws, stream) == [b"b", b"d"]
    assert put(client, stream, b"e")["FailedRecordCount"] == 0  # one fault was planned, and no more
    assert proxy.failed == 1


def test_a_refusal_puts_nothing_and_a_lost_answer_has_put_all(
    aws: LocalAws, proxy: FaultyAws, client: Any
) -> None:
    stream = aws.make_stream()
    for fault, code in (
        (throttling(), "ProvisionedThroughputExceededException"),
        (refusal(400, "LimitExceededException"), "LimitExceededException"),
        (refusal(503, "ServiceUnavailable"), "ServiceUnavailable"),
    ):
        proxy.plan(fault)
        with pytest.raises(ClientError) as found:
            put(client, stream, b"a")
        assert found.value.response["Error"]["Code"] == code
    assert contents_of(aws, stream) == []
    proxy.plan(lost_answer)
    with pytest.raises(ConnectionClosedError):
        put(client, stream, b"b")
    assert contents_of(aws, stream) == [b"b"]


def test_a_dead_endpoint_refuses_to_connect_until_it_is_back_at_its_port(
    aws: LocalAws, proxy: FaultyAws, client: Any
) -> None:
    stream = aws.make_stream()
    put(client, stream, b"a")
    proxy.die()
    for _ in range(2):
        with pytest.raises((EndpointConnectionError, ConnectionClosedError)):
            put(client, stream, b"b")
    proxy.come_back()
    put(client, stream, b"c")
    assert contents_of(aws, stream) == [b"a", b"c"]


@pytest.mark.proof
def test_a_process_of_its_own_ends_with_its_block() -> None:
    with moto_process() as aws:
        assert contents_of(aws, aws.make_stream(shards=3)) == []
    began_s = time.monotonic()
    with pytest.raises(EndpointConnectionError), closing_client(aws.client()) as client:
        client.list_streams()
    assert time.monotonic() - began_s < 60.0
