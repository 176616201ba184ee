"""Ask a Kinesis stream for its shards and records."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from collector.aws import StreamAddress, failure_of, make_client
from collector.consume.shards import AT_TIMESTAMP, Shard
from collector.errors import CollectorError

SERVICE = "kinesis"
_NS = 1_000_000_000


class IteratorExpired(CollectorError):  # noqa: N818  (a state, not a fault)
    """The place in a shard was not asked for within five minutes; another one must be got."""


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A record of a stream."""

    sequence_number: str
    partition_key: str
    data: bytes
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one call gave."""

    records: list[StreamRecord]
    iterator: str | None  # for the next call; None: the shard is closed, and this was its end
    behind_s: float  # how much older than the newest is the last of the records


class Stream(Protocol):
    """A stream as its reader needs it. Every call raises AwsError when it fails."""

    @property
    def address(self) -> str:
        """Return its URL."""

    def source(self) -> str:
        """Return what tells it from every other, also from one that had its name before."""

    def keeps_s(self) -> float:
        """Return how long it keeps a record."""

    def shards(self) -> list[Shard]:
        """List the shards, with those that are closed and still hold records."""

    def iterator(self, shard: str, position: str) -> str:
        """Return what reads a shard from a position on."""

    def fetch(self, iterator: str, limit: int) -> Fetched:
        """Return the next records; raises IteratorExpired for an iterator that is too old."""

    def close(self) -> None:
        """Release the connections. Idempotent."""


class KinesisStream:
    """A stream of Kinesis. Used by one thread."""

    def __init__(self, url: str, *, call_timeout_s: float) -> None:
        self._stream = StreamAddress.parse(url)
        self._client = make_client(
            SERVICE, self._stream.region, self._stream.endpoint, call_timeout_s=call_timeout_s
        )

    @property
    def address(self) -> str:
        """Return its URL."""
        return str(self._stream)

    def source(self) -> str:
        """Return region, name and the second in which it was created."""
        created: datetime = self._summary()["StreamCreationTimestamp"]
        at = created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"kinesis://{self._stream.region}/{self._stream.stream}@{at}"

    def keeps_s(self) -> float:
        """Return how long it keeps a record."""
        return float(self._summary()["RetentionPeriodHours"]) * 3600.0

    def _summary(self) -> dict[str, Any]:
        answer = self._call("describe_stream_summary", StreamName=self._stream.stream)
        found: dict[str, Any] = answer["StreamDescriptionSummary"]
        return found

    def shards(self) -> list[Shard]:
        """List the shards, with those that are closed and still hold records."""
        return list(self._shards())

    def _shards(self) -> Iterator[Shard]:
        asked: dict[str, Any] = {"StreamName": self._stream.stream}
        while True:
            answer = self._call("list_shards", **asked)
            for one in answer["Shards"]:
                parents = (one.get("ParentShardId"), one.get("AdjacentParentShardId"))
                yield Shard(one["ShardId"], tuple(parent for parent in parents if parent))
            if not answer.get("NextToken"):
                return
            asked = {"NextToken": answer["NextToken"]}  # it stands for the name as well

    def iterator(self, shard: str, position: str) -> str:
        """Return what reads a shard from a position on."""
        kind, _, value = position.partition(" ")
        told: dict[str, Any] = {}
        if kind == AT_TIMESTAMP:
            told["Timestamp"] = float(value)
        elif value:
            told["StartingSequenceNumber"] = value
        answer = self._call(
            "get_shard_iterator",
            StreamName=self._stream.stream,
            ShardId=shard,
            ShardIteratorType=kind,
            **told,
        )
        return str(answer["ShardIterator"])

    def fetch(self, iterator: str, limit: int) -> Fetched:
        """Return the next records."""
        answer = self._call("get_records", ShardIterator=iterator, Limit=limit)
        records = [
            StreamRecord(
                one["SequenceNumber"],
                one["PartitionKey"],
                one["Data"],
                int(one["ApproximateArrivalTimestamp"].timestamp() * _NS),
            )
            for one in answer["Records"]
        ]
        return Fetched(
            records, answer.get("NextShardIterator"), (answer.get("MillisBehindLatest") or 0) / 1000
        )

    def close(self) -> None:
        """Release the connections. Idempotent."""
        self._client.close()

    def _call(self, name: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, name)(**arguments)
        except Exception as error:
            response = getattr(error, "response", None)
            code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
            if code == "ExpiredIteratorException":
                raise IteratorExpired(str(error)) from error
            raise failure_of(error) from error
        return answer
