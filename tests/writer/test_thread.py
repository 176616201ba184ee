"""The writer's threads: when they end, all that came is stored or in the spool, or told as lost."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.buffer.buffer import Buffer
from collector.errors import SinkError, SpoolError, UserError
from collector.events.batch import Liveness, SegmentOpened
from collector.sinks.contract import Receipt, SessionState, WriteSet
from collector.spool.file import SpoolFile
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker, BreakerState
from collector.writer.limits import Limits, SpoolLimits, WriterLimits
from collector.writer.prepare import Preparation
from collector.writer.sources import BufferSource
from collector.writer.thread import WriterThread

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from full_backoff import FullBackoff
from world import KEYS, Database, FullableSpool, book_rows

DEADLINE_S = 60.0  # of a condition: what fails to come does so on the busiest machine


def wait_until(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.002)


class Hanging(Database):
    """A database whose calls hang while they are told to, until they are broken off."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = threading.Event()
        self.entered = threading.Event()
        self.aborted = threading.Event()
        self.aborts = 0

    def write(self, write_set: WriteSet) -> Receipt:
        if self.hangs.is_set():
            self.entered.set()
            self.aborted.wait(DEADLINE_S)
            self.aborted.clear()
            raise SinkError("broken off", transient=True)
        return super().write(write_set)

    def abort(self) -> None:
        self.aborts += 1
        self.aborted.set()


class Rig:
    """A writer of one stream on a made-up database and a real spool."""

    def __init__(
        self,
        folder: Path,
        *,
        session: str = "session",
        max_rows: int = 10_000,
        retry_s: float = 0.001,
        behind_at_rows: int = 1000,
        spill_after_s: float = 60.0,
        call_timeout_s: float = 60.0,
    ) -> None:
        self.database = Hanging()
        self.buffer = Buffer(levels_per_row=1, max_rows=max_rows, flush_rows=5)
        self.buffer.register(KEYS[0])
        self.spool = FullableSpool(folder / "spool", max_bytes=1 << 20, synchronous="OFF")
        self.ended = threading.Event()
        self.refusals: list[SpoolError] = []
        state = SessionState(session, 1, "0", "host", 1, "{}")
        balance = Balance(session, self.buffer.key)
        preparation = Preparation(state, self.buffer.key, book_rows, most_rows=100)
        self.writer = WriterThread(
            BufferSource(self.buffer, preparation, balance, behind_at_rows=behind_at_rows),
            self.database,
            self.spool,
            Breaker(2, FullBackoff(retry_s, retry_s), FullBackoff(retry_s, retry_s)),
            balance,
            Limits(WriterLimits(interval_s=0.01), SpoolLimits(after_s=spill_after_s), call_timeout_s),
            session_id=session,
            on_end=self.ended.set,
            on_refusal=self.refusals.append,
        )
        self.sequence = 0

    def rows(self, count: int) -> None:
        if not self.sequence:
            self.buffer.open_segment(SegmentOpened(7, 0, 1, "sequence", Liveness(1)))
        for _ in range(count):
            self.sequence += 1
            at_ns = self.sequence
            self.buffer.append(0, at_ns, at_ns, None, at_ns, 7, 10, [1.0, 1.0, 2.0, 1.0])

    @property
    def stored(self) -> int:
        return len(self.database.rows)

    def spooled(self) -> int:
        """Count the rows that wait in the file, once it is closed."""
        with_rows = SpoolFile(self.spool.path, max_bytes=1 << 20, synchronous="OFF")
        with_rows.open()
        try:
            connection = with_rows._connection
            assert connection is not None
            return int(connection.execute("SELECT COALESCE(SUM(rows), 0) FROM spool").fetchone()[0])
        finally:
            with_rows.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    one = Rig(tmp_path)
    yield one
    one.database.hangs.clear()
    one.database.aborted.set()
    one.writer.stop(5.0)


def test_all_that_came_is_stored_when_it_stops(rig: Rig) -> None:
    rig.writer.start()
    assert rig.writer.alive
    rig.rows(12)
    wait_until(lambda: rig.stored == 12)
    rig.rows(3)
    assert rig.writer.stop(DEADLINE_S)
    assert (rig.stored, rig.writer.lost, rig.writer.alive) == (15, 0, False)
    assert rig.writer.committed.rows >= 15
    assert rig.database.sessions == {"session": "stop"}
    assert rig.ended.is_set()
    assert rig.writer.stop(0.0)  # once more
    assert not rig.spool.path.exists()


def test_a_row_waits_no_longer_than_the_interval(rig: Rig) -> None:
    rig.writer.start()
    rig.rows(1)  # fewer than are worth a flush
    wait_until(lambda: rig.stored == 1)


def test_what_a_database_does_not_take_goes_to_the_spool_and_from_there_when_it_is_back(rig: Rig) -> None:
    rig.database.refusals = 10**9
    rig.writer.start()
    rig.rows(7)
    wait_until(lambda: rig.writer.spilling)
    wait_until(lambda: rig.spool.entries)
    assert "the database is away" in str(rig.writer.last_error)
    assert rig.writer.breaker.state is not BreakerState.CLOSED
    rig.rows(7)
    rig.database.refusals = 0
    wait_until(lambda: rig.stored == 14)
    wait_until(lambda: not rig.writer.spilling)
    assert [sequence for _, sequence in rig.database.rows] == list(range(1, 15))
    assert rig.writer.stop(DEADLINE_S)
    assert rig.writer.last_error is None


def test_what_is_left_at_the_end_stays_in_the_spool_and_the_next_session_brings_it_in(tmp_path: Path) -> None:
    first = Rig(tmp_path, session="first")
    first.database.refusals = 10**9
    first.writer.start()
    first.rows(7)
    assert first.writer.stop(2.0)
    assert (first.stored, first.writer.lost, first.spooled()) == (0, 0, 7)
    second = Rig(tmp_path, session="second")
    second.writer.start()
    wait_until(lambda: second.stored == 7)
    assert second.writer.stop(DEADLINE_S)
    assert second.writer.balance.states(dict)[0].carried_in == 7


def test_a_call_that_takes_too_long_is_broken_off_and_tried_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path, call_timeout_s=0.05)
    rig.database.hangs.set()
    rig.writer.start()
    rig.rows(3)
    wait_until(lambda: rig.database.aborts)
    assert rig.writer.broken_off
    rig.database.hangs.clear()
    wait_until(lambda: rig.stored == 3)
    assert rig.writer.stop(DEADLINE_S)


def test_while_a_call_lasts_the_spool_takes_what_comes(tmp_path: Path) -> None:
    rig = Rig(tmp_path, spill_after_s=0.05)
    rig.database.hangs.set()
    rig.writer.start()
    rig.rows(3)
    assert rig.database.entered.wait(DEADLINE_S)
    rig.rows(4)
    wait_until(lambda: rig.spool.entries >= 2)  # what the call is about as well: it may never return
    assert rig.stored == 0
    rig.database.hangs.clear()
    rig.database.abort()
    wait_until(lambda: rig.stored == 7)
    assert rig.writer.stop(DEADLINE_S)


def test_a_thread_that_waits_for_the_next_try_ends_as_well(tmp_path: Path) -> None:
    rig = Rig(tmp_path, retry_s=10_000.0, behind_at_rows=1)
    rig.database.refusals = 10**9
    rig.writer.start()
    rig.rows(3)
    wait_until(lambda: rig.writer.breaker.wait_s > 100.0 and rig.spool.entries)
    assert rig.writer.stop(1.0)
    assert not rig.writer.alive
    assert rig.spooled() == 3


def test_a_hanging_call_does_not_hold_up_the_end(rig: Rig) -> None:
    rig.database.hangs.set()
    rig.writer.start()
    rig.rows(3)
    assert rig.database.entered.wait(DEADLINE_S)
    assert rig.writer.stop(0.5)
    assert rig.database.aborts
    assert not rig.writer.alive
    assert (rig.writer.lost, rig.spooled()) == (0, 3)


def test_what_has_no_room_anywhere_is_counted_as_lost(rig: Rig) -> None:
    rig.database.refusals = 10**9
    rig.spool.refuses = True
    rig.writer.start()
    rig.rows(6)
    wait_until(lambda: rig.refusals)
    assert "no space left" in str(rig.writer.last_error)
    assert not rig.writer.stop(0.2)
    assert not rig.writer.stop(0.2)
    assert rig.writer.lost == 6


def test_small_work_is_done_between_two_batches_and_not_after_the_end(rig: Rig) -> None:
    rig.writer.start()
    assert rig.writer.tasks.submit(lambda: 42).result(DEADLINE_S) == 42
    rig.writer.stop(DEADLINE_S)
    assert rig.writer.tasks.submit(lambda: 42).exception(0.0) is not None


@pytest.mark.parametrize("error", [UserError("another collector writes there"), ZeroDivisionError("ours")])
def test_a_thread_that_cannot_go_on_says_why(rig: Rig, error: Exception) -> None:
    def broken(_batch: WriteSet) -> Receipt:
        raise error

    rig.database.write = broken  # type: ignore[method-assign]
    rig.writer.start()
    rig.rows(1)
    assert rig.ended.wait(DEADLINE_S)
    assert rig.writer.failure is error
    assert not rig.writer.stop(0.2)
