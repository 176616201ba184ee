"""Tell which shards of a stream may be read: a child only after its parents are read to their ends.

A split closes a shard and gives two children, a merge closes two and gives one. The records of a partition
key go on in the child, so that whoever reads parents first gets the records of each key in order.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.errors import UserError
from collector.sinks import ShardPosition

OLDEST, NEWEST = "oldest", "newest"
TRIM_HORIZON = "TRIM_HORIZON"
AT_TIMESTAMP = "AT_TIMESTAMP"
AFTER_SEQUENCE_NUMBER = "AFTER_SEQUENCE_NUMBER"


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as the stream lists it."""

    shard_id: str
    parents: tuple[str, ...] = ()  # one after a split, two after a merge


def readable(shards: Iterable[Shard], finished: Collection[str]) -> list[str]:
    """Return the shards that may be read now, in the order of their ids.

    A parent that is not listed any more is older than what the stream keeps.
    """
    listed = {one.shard_id: one for one in shards}
    return sorted(
        shard_id
        for shard_id, one in listed.items()
        if shard_id not in finished
        and all(parent in finished or parent not in listed for parent in one.parents)
    )


def vanished(shards: Iterable[Shard], positions: Mapping[str, ShardPosition]) -> list[str]:
    """Return the shards that were not read to their ends and are gone: what was left of them is lost."""
    listed = {one.shard_id for one in shards}
    return sorted(
        shard_id for shard_id, one in positions.items() if shard_id not in listed and not one.finished
    )


def after(sequence_number: str) -> str:
    """Return the position behind this record."""
    return f"{AFTER_SEQUENCE_NUMBER} {sequence_number}"


def beginning(told: str, now_s: float) -> str:
    """Return the position from which a first start reads: what is there, what comes, or from a time on.

    What comes is told by the time, for a position has to mean the same after a restart.
    """
    if told == OLDEST:
        return TRIM_HORIZON
    begin_s = now_s if told == NEWEST else _seconds(told)
    if begin_s > now_s:
        raise UserError(f"--from: {told} is in the future; expected {OLDEST}, {NEWEST} or a past time")
    return f"{AT_TIMESTAMP} {max(0.0, begin_s):.3f}"


def _seconds(told: str) -> float:
    """Return the time of a text: ISO 8601, UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        raise UserError(
            f"--from: {told!r} is no time; expected {OLDEST}, {NEWEST} or a time like 2026-01-31T12:00:00Z"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
