"""One step of the writer after the other: what is refused for good holds up nothing behind it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.errors import SinkError
from collector.sinks.contract import Receipt, WriteSet
from collector.writer.delivery import Step
from collector.writer.queued_write import QueuedWrite
from collector.writer.write_queue import WriteQueue

sys.path.insert(0, str(Path(__file__).parent))
from world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.spool_file.close()


def refusing(world: World, number: int) -> Callable[[WriteSet], Receipt]:
    """Return a database that refuses one batch for what it is, as long as it has rows, whatever these are."""
    write, seen = world.database.write, list[str]()

    def refuse(write_set: WriteSet) -> Receipt:
        if write_set.batch_id not in seen:
            seen.append(write_set.batch_id)
        if seen.index(write_set.batch_id) == number and write_set.row_count:
            raise SinkError("this batch will not do", transient=False)
        return write(write_set)

    return refuse


def step(world: World) -> Step:
    world.now_s += 100.0
    return world.deliver(fetch=True)


def test_a_batch_that_is_refused_though_none_of_its_rows_is_goes_aside_and_the_next_is_stored(
    world: World,
) -> None:
    world.rows(0, 3)
    world.database.write = refusing(world, 0)  # type: ignore[method-assign]
    assert [step(world) for _ in range(3)] == [Step.REFUSED, Step.REFUSED, Step.MOVED]
    world.rows(0, 2)
    assert step(world) is Step.MOVED
    assert world.database.rows == [(0, 4), (0, 5)]
    connection = world.spool_file._connection
    assert connection is not None
    ((rows, reason),) = connection.execute("SELECT rows, reason FROM aside").fetchall()
    assert (rows, reason) == (3, "this batch will not do")
    (state, _) = world.states()
    assert (state.written, state.rejected, state.pending) == (2, {"poison": 3}, 0)
    assert state.difference == 0


def test_where_nothing_waits_there_is_nothing_to_do(world: World) -> None:
    assert world.deliver(fetch=True) is Step.IDLE
    world.rows(0, 1)
    assert world.deliver(fetch=False) is Step.IDLE  # not to be looked for in the buffer
    assert world.deliver(fetch=True) is Step.MOVED
    assert world.database.rows == [(0, 1)]


def test_one_try_a_time_and_none_before_the_wait_is_over(world: World) -> None:
    world.database.refusals = 1
    world.rows(0, 1)
    assert world.deliver(fetch=True) is Step.REFUSED
    committed = world.to_sink.committed
    assert (committed.retries, committed.batches, committed.last_error) == (1, 0, "the database is away")
    world.breaker._ready_s = world.now_s + 1.0
    assert world.deliver(fetch=True) is Step.REFUSED
    assert (world.database.refusals, committed.retries) == (0, 1)  # not tried
    assert step(world) is Step.MOVED
    assert (committed.batches, committed.rows, committed.last_error) == (1, 1, None)


def test_refusals_for_longer_than_patience_lasts_have_the_spool_take_what_comes(world: World) -> None:
    world.database.refusals = 3
    world.rows(0, 1)
    assert world.deliver(fetch=True) is Step.REFUSED
    assert not world.queue.spilling.is_set()
    world.now_s += 1.0
    assert world.deliver(fetch=True) is Step.REFUSED
    assert not world.queue.spilling.is_set()  # as long as it may take, and no longer
    world.now_s += 0.5
    assert world.deliver(fetch=True) is Step.REFUSED
    assert world.queue.spilling.is_set()
    assert world.spool_file.entries == 1


def test_what_arrives_in_the_spool_just_before_spilling_ends_is_not_overtaken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = WriteQueue.nothing_in_spool

    def a_batch_arrives_first(queue: WriteQueue, *parts: Any) -> QueuedWrite | None:
        assert world.relieve(fetch=True) is Step.MOVED
        return ends(queue, *parts)

    world.queue.spilling.set()
    world.rows(0, 3)
    with monkeypatch.context() as interleaved:
        interleaved.setattr(WriteQueue, "nothing_in_spool", a_batch_arrives_first)
        world.deliver(fetch=True)
    world.rows(0, 4)
    assert world.queue.spilling.is_set()
    for _ in range(4):
        step(world)
    assert world.database.rows == [(0, sequence) for sequence in range(1, 8)]
    assert (world.spool_file.entries, world.queue.spilling.is_set()) == (0, False)
