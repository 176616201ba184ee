"""Which shards may be read, from where, and how far each may be called read."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.consume.checkpoints import Checkpoints, Taken
from collector.consume.shards import Shard, beginning, readable, vanished
from collector.errors import UserError
from collector.sinks.sql.stream_progress import ShardPosition

sys.path.insert(0, str(Path(__file__).parent))
from stand_in_stream import StandInStream


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 10)), max_size=12),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_each_key_is_read_in_order_whatever_splits_and_merges(
    reshards: list[tuple[bool, int]], shards: int, chance: object
) -> None:
    stream = StandInStream(shards)
    keys = [f"key {number}" for number in range(5)]
    for number, (is_merge, place) in enumerate([*reshards, (False, 0)]):
        for key in keys:
            stream.put(key, str(number).encode())
        found = stream.open_shards
        if is_merge and len(found) > 1:
            stream.merge(found[place % (len(found) - 1)], found[place % (len(found) - 1) + 1])
        else:
            stream.split(found[place % len(found)])
    finished: set[str] = set()
    seen: dict[str, list[int]] = {}
    while may_be_read := readable(stream.shards(), finished):
        shard = chance.choice(may_be_read)  # type: ignore[attr-defined]
        for record in stream.records(shard):
            seen.setdefault(record.partition_key, []).append(int(record.data))
        finished.add(shard)
    assert len(finished) == len(stream.shards())
    assert seen == {key: list(range(len(reshards) + 1)) for key in keys}


def test_a_child_waits_for_both_of_its_parents_and_for_none_that_is_forgotten() -> None:
    shards = [Shard("a"), Shard("b"), Shard("c", ("a", "b")), Shard("d", ("gone",))]
    assert readable(shards, ()) == ["a", "b", "d"]
    assert readable(shards, {"a"}) == ["b", "d"]
    assert readable(shards, {"a", "b", "d"}) == ["c"]


def test_what_is_gone_with_its_shard_is_told_unless_it_was_read() -> None:
    positions = {
        "a": ShardPosition("TRIM_HORIZON", finished=True),
        "b": ShardPosition("AFTER_SEQUENCE_NUMBER 7"),
        "c": ShardPosition("TRIM_HORIZON"),
    }
    assert vanished([Shard("c")], positions) == ["b"]


@pytest.mark.parametrize(
    ("told", "position"),
    [
        ("oldest", "TRIM_HORIZON"),
        ("newest", "AT_TIMESTAMP 1700000000.500"),
        ("2026-01-31T12:00:00Z", "AT_TIMESTAMP 1769860800.000"),
        ("2026-01-31T12:00:00", "AT_TIMESTAMP 1769860800.000"),
        ("2026-01-31T13:00:00+01:00", "AT_TIMESTAMP 1769860800.000"),
    ],
)
def test_where_a_first_start_begins(told: str, position: str) -> None:
    assert beginning(told, 1_700_000_000.5 if told == "newest" else 1_800_000_000.0) == position


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(UserError, match="--from: 'yesterday' is no time; expected oldest, newest or a time"):
        beginning("yesterday", 0.0)
    with pytest.raises(UserError, match="--from: 2026-01-31T12:00:00Z is in the future"):
        beginning("2026-01-31T12:00:00Z", 1_700_000_000.5)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=60))
def test_no_position_passes_a_record_of_a_part_that_is_open(taken: list[tuple[int, int]]) -> None:
    """Records of three shards, of five parts, each of which is complete with its fourth record."""
    checkpoints = Checkpoints()
    open_parts: dict[int, list[int]] = {}  # the numbers of its records
    where: dict[int, tuple[str, int]] = {}
    stored: dict[str, int] = {}
    places: dict[int, int] = {}
    for number, (shard, part) in enumerate(taken):
        place = int(checkpoints.take(Taken(str(shard), str(number))))
        places[number] = place
        where[number] = str(shard), number
        records = open_parts.setdefault(part, [])
        records.append(number)
        if len(records) == 4:
            del open_parts[part]
        earliest = min((places[one[0]] for one in open_parts.values()), default=None)
        for name, position in checkpoints.settled(earliest).items():
            stored[name] = int(position.position.removeprefix("AFTER_SEQUENCE_NUMBER "))
        for records in open_parts.values():
            for record in records:
                name, at = where[record]
                assert stored.get(name, -1) < at
    if not open_parts:
        assert len(checkpoints) == 0


def test_a_shard_is_finished_when_all_that_was_taken_before_its_end_is_done_with() -> None:
    checkpoints = Checkpoints()
    checkpoints.take(Taken("parent", "1"))
    first = int(checkpoints.take(Taken("parent", "2")))  # the part goes on in the child
    checkpoints.end("parent", "TRIM_HORIZON")
    checkpoints.take(Taken("child", "3"))
    assert checkpoints.settled(first) == {"parent": ShardPosition("AFTER_SEQUENCE_NUMBER 1")}
    assert checkpoints.at(str(first)) == Taken("parent", "2")
    checkpoints.take(Taken("child", "4"))
    assert checkpoints.settled(None) == {
        "parent": ShardPosition("AFTER_SEQUENCE_NUMBER 2", finished=True),
        "child": ShardPosition("AFTER_SEQUENCE_NUMBER 4"),
    }


def test_an_empty_shard_that_ends_is_finished_where_it_began() -> None:
    checkpoints = Checkpoints()
    checkpoints.end("empty", "AT_TIMESTAMP 1.000")
    assert checkpoints.settled(None) == {"empty": ShardPosition("AT_TIMESTAMP 1.000", finished=True)}
    checkpoints.take(Taken("other", "7"))
    checkpoints.settled(None)
    checkpoints.end("other", "AT_TIMESTAMP 1.000")
    assert checkpoints.settled(None) == {"other": ShardPosition("AFTER_SEQUENCE_NUMBER 7", finished=True)}
