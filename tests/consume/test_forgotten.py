"""What a stream has forgotten is told, although it refuses no position for that: it just goes on later."""

import sys
from pathlib import Path
from typing import Any

import pytest

from collector.aws import AwsError, Failure

sys.path.insert(0, str(Path(__file__).parent))
from reading import fill, reading_stream
from stand_in_stream import StandInStream
from stream_histories import cell, history

SHARD = "shardId-000000000000"
HOUR_NS = 3600 * 10**9


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'live.db'}"


def damaged(url: str) -> Any:
    return cell(url, "SELECT count(*) FROM collector_coverage WHERE end_cause = 'damaged'")


def test_a_reader_that_was_away_for_longer_than_records_are_kept_has_lost_something(
    url: str, tmp_path: Path
) -> None:
    write_sets = history(4, batches=20)
    stream = StandInStream()
    fill(stream, write_sets[:8])
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
    fill(stream, write_sets[8:14])
    stream.trim_in_silence(SHARD, len(stream.records(SHARD)))
    stream.now_ns += 25 * HOUR_NS
    fill(stream, write_sets[14:])
    for losses in (1, 0):
        with reading_stream(stream, url, tmp_path / "dead") as reading:
            reading.read_all()
            assert reading.counts.losses == losses
    assert damaged(url) > 0


def test_so_has_one_of_a_shard_of_which_nothing_was_read_yet(url: str, tmp_path: Path) -> None:
    """The child of a shard that was split: nothing came into it before the reader went."""
    write_sets = history(4, batches=20)
    stream = StandInStream()
    fill(stream, write_sets[:8])
    stream.split(SHARD)
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
        reading.consumer._shards.list_due_s = 0.0
        reading.read_all()
    fill(stream, write_sets[8:14])
    for shard in stream.open_shards:
        stream.trim_in_silence(shard, len(stream.records(shard)))
    stream.now_ns += 25 * HOUR_NS
    stream.forget(SHARD)
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.losses == 2  # a shard each
    assert damaged(url) > 0


def test_a_stream_into_which_nothing_comes_is_not_one_that_forgets(url: str, tmp_path: Path) -> None:
    now = [0.0]
    stream = StandInStream()
    fill(stream, history(4, batches=4))
    for hours in (0, 20, 20):  # each time it is read to its end
        stream.now_ns += hours * HOUR_NS
        now[0] += 3600.0 * hours
        with reading_stream(stream, url, tmp_path / "dead", now_s=lambda: now[0]) as reading:
            reading.read_all()
            assert reading.counts.losses == 0
    assert damaged(url) == 0


def test_an_outage_that_is_longer_loses_something_as_well(url: str, tmp_path: Path) -> None:
    write_sets = history(4, batches=20)
    stream = StandInStream()
    fill(stream, write_sets[:8])
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
        fill(stream, write_sets[8:14])
        stream.trim_in_silence(SHARD, len(stream.records(SHARD)))
        stream.now_ns += 25 * HOUR_NS
        stream.expire_iterators()
        fill(stream, write_sets[14:])
        reading.read_all()
        assert reading.counts.losses == 1
    assert damaged(url) > 0


def test_a_shard_that_does_not_answer_is_no_silence_of_its_sessions(url: str, tmp_path: Path) -> None:
    """What came last time was the newest; what has come since then nobody knows."""
    stream = StandInStream()
    fill(stream, history(1)[:6])
    now, until_s = [0.0], [0.0]

    def wait(seconds: float) -> bool:
        now[0] += seconds + 1.0
        stream.now_ns += int((seconds + 1.0) * 10**9)
        return now[0] > until_s[0] > 0.0

    def refuse(_shard: str) -> None:
        raise AwsError(Failure.THROTTLED, "others read as well")

    with reading_stream(stream, url, tmp_path / "dead", wait=wait, now_s=lambda: now[0]) as reading:
        reading.read_all()
        stream.before_fetch = refuse
        until_s[0] = now[0] + 1_500.0
        reading.consumer.run()
    assert cell(url, "SELECT count(*) FROM collector_stream_sessions WHERE silent = 1") == 0


def test_a_time_that_the_stream_does_not_know_yet_is_waited_for(url: str, tmp_path: Path) -> None:
    """The clock here is ahead: `newest` is in its future, which it refuses."""
    stream = StandInStream()
    fill(stream, history(1)[:6])
    begin = f"AT_TIMESTAMP {stream.now_ns / 10**9 + 1.5:.3f}"

    def wait(_seconds: float) -> bool:
        stream.now_ns += 10**8
        return False

    stream.refuses_future = True
    with reading_stream(stream, url, tmp_path / "dead", begin=begin, wait=wait) as reading:
        reading.read_all()
        assert (reading.counts.records, reading.counts.losses) == (0, 0)
