"""moto's server with shards that split and merge as real ones do.

In moto a closed shard goes on taking records, its children get what it held, and reading it never ends.
"""

import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from local_aws import LocalAws, closing_client, moto_process

_MENDED = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from real_shards import mend_moto
mend_moto()
"""


@contextmanager
def resharding_aws() -> Iterator[LocalAws]:
    """Run the server as a process of its own."""
    with moto_process(before=_MENDED) as aws:
        yield aws


def split(aws: LocalAws, stream: str) -> None:
    """Split the first open shard in half."""
    with closing_client(aws.client()) as client:
        shard = _open_shards(client, stream)[0]
        bounds = shard["HashKeyRange"]
        middle = (int(bounds["StartingHashKey"]) + int(bounds["EndingHashKey"])) // 2
        client.split_shard(StreamName=stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle))


def merge(aws: LocalAws, stream: str) -> None:
    """Merge the last two open shards."""
    with closing_client(aws.client()) as client:
        one, other = [shard["ShardId"] for shard in _open_shards(client, stream)[-2:]]
        client.merge_shards(StreamName=stream, ShardToMerge=one, AdjacentShardToMerge=other)


def _open_shards(client: Any, stream: str) -> list[dict[str, Any]]:
    shards = client.list_shards(StreamName=stream)["Shards"]
    found = [one for one in shards if "EndingSequenceNumber" not in one["SequenceNumberRange"]]
    return sorted(found, key=lambda one: int(one["HashKeyRange"]["StartingHashKey"]))


def mend_moto() -> None:
    """Let closed shards take nothing, keep what they hold, and end."""
    from moto.kinesis import models  # noqa: PLC0415

    def shard_for_key(stream: Any, partition_key: str, explicit_hash_key: str | None) -> Any:
        place = (
            int(explicit_hash_key)
            if explicit_hash_key
            else int(models.md5_hash(partition_key.encode()).hexdigest(), 16)
        )
        open_shards = (one for one in stream.shards.values() if one.is_open)
        return next(one for one in open_shards if one.starting_hash <= place <= one.ending_hash)

    def keeping_records(change: Any) -> Any:
        def changed(stream: Any, *told: Any) -> None:
            named = [stream.shards[one] for one in told if one in stream.shards]
            held = [one.records for one in named]
            for one in named:
                one.records = OrderedDict()
            change(stream, *told)
            for one, records in zip(named, held, strict=True):
                one.records = records

        return changed

    get_records = models.KinesisBackend.get_records

    def until_the_end(backend: Any, stream_arn: Any, shard_iterator: str, limit: int | None) -> Any:
        following, records, behind_ms = get_records(backend, stream_arn, shard_iterator, limit)
        stream, shard, last = models.decompose_shard_iterator(following)
        held = backend.describe_stream(stream_arn=stream_arn, stream_name=stream).get_shard(shard)
        is_over = not held.is_open and int(last) >= held.get_max_sequence_number()
        return None if is_over else following, records, behind_ms

    models.Stream.get_shard_for_key = shard_for_key
    models.Stream.split_shard = keeping_records(models.Stream.split_shard)
    models.Stream.merge_shards = keeping_records(models.Stream.merge_shards)
    models.KinesisBackend.get_records = until_the_end
