"""Small write sets that go out together say what they say one after the other."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from follower_rig import BTC, wait_until, write_set

from collector.sinks.contract import SegmentState, WriteSet
from collector.writer.balance import Balance
from collector.writer.joining import joined, may_join
from collector.writer.sources import Inbox


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def inbox(clock: Callable[[], float], **options: int) -> Inbox:
    limits = {"most_rows": 1_000, "behind_at_rows": 500, **options}
    return Inbox(Balance("session-1", lambda _number: BTC), linger_s=1.0, now_s=clock, **limits)


def ids(one: Inbox, *, is_last: bool = False) -> list[str]:
    return [each.batch_id for each in one.write_sets(is_last=is_last)]


def ended(one: WriteSet, cause: str) -> WriteSet:
    return replace(one, segments=(replace(one.segments[0], end_cause=cause),))


def test_what_comes_within_the_time_goes_out_as_one_under_the_first_id() -> None:
    clock = Clock()
    box = inbox(clock)
    for number in range(3):
        assert box.offer(write_set(number))
        assert ids(box) == []  # others may come
        clock.now_s += 0.3
    clock.now_s = 101.0
    (taken,) = box.write_sets(is_last=False)
    first, last = write_set(0), write_set(2)
    assert (taken.batch_id, taken.row_count) == ("batch-0000", 12)
    assert [one for rows in taken.rows for one in rows.columns["sequence"]] == list(range(12))
    (segment,), (account,) = taken.segments, taken.accounting
    assert segment == replace(
        last.segments[0], start_ns=first.segments[0].start_ns, first_sequence=0, rows=12
    )
    assert (account.received, account.written) == (12, 12)
    assert ids(box) == []


def test_many_rows_and_the_end_wait_for_nothing() -> None:
    box = inbox(Clock(), behind_at_rows=8)
    box.offer(write_set(0))
    box.offer(write_set(1))
    assert ids(box) == ["batch-0000"]
    box.offer(write_set(2))
    assert ids(box) == []
    assert ids(box, is_last=True) == ["batch-0002"]


def test_a_wait_lasts_until_the_time_for_others_is_over() -> None:
    box = Inbox(Balance("session-1", lambda _number: BTC), most_rows=100, behind_at_rows=50, linger_s=0.05)
    box.offer(write_set(0))
    wait_until(lambda: box.wait(600.0) or ids(box) == ["batch-0000"], "taken")


def test_what_may_come_again_goes_out_under_its_own_id() -> None:
    """A write set that was in the store's spool is offered again when the process dies before it left it."""
    clock = Clock()
    box = inbox(clock)
    for number in range(5):
        box.offer(write_set(number), is_alone=number == 2)
    clock.now_s += 1.0
    assert ids(box) == ["batch-0000", "batch-0002", "batch-0003"]


def test_what_is_not_whole_is_not_joined() -> None:
    first, second = write_set(0), write_set(1)
    assert may_join(first, second)
    assert not may_join(first, write_set(1, session="session-2"))
    assert not may_join(first, replace(second, by="session-2"))
    assert not may_join(first, replace(second, is_after_loss=True))
    assert not may_join(ended(first, "poison"), second)
    assert not may_join(first, ended(second, "no_room"))
    assert may_join(first, ended(second, "stop"))


def test_a_segment_that_ends_and_others_keep_their_states() -> None:
    first, second = ended(write_set(0), "stop"), write_set(1)
    other = replace(second.segments[0], segment_id=8)
    found = joined([first, replace(second, segments=(other,))])
    assert found.segments == (first.segments[0], other)
    told: tuple[SegmentState, ...] = joined([write_set(0), ended(write_set(1), "stop")]).segments
    assert [(one.rows, one.end_cause) for one in told] == [(8, "stop")]
