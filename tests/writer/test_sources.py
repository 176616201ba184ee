"""One writer takes write sets from the buffer and from further sources, and the identity holds."""

import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from follower_rig import BTC, breaker, wait_until, write_set

from collector.buffer.buffer import Buffer
from collector.events.batch import Liveness, SegmentOpened
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts
from collector.sinks.contract import SessionState
from collector.sinks.sql.sink import SqlSink
from collector.spool.file import SpoolFile
from collector.writer.balance import Balance
from collector.writer.limits import Limits, SpoolLimits, WriterLimits
from collector.writer.prepare import Preparation
from collector.writer.sources import BufferSource, Inbox, InTurn
from collector.writer.thread import WriterThread
from collector.writer.write_queue import WriteQueue

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

SESSION = SessionState("session-1", 1_000, "0", "host", 1, "{}")
LIVE_SEQUENCES = range(1_000, 1_500)  # the other source's are below


def take_all(queue: WriteQueue) -> list[str]:
    found = []
    while (queued := queue.take(fetch=True)) is not None:
        found.append(queued.write_set.batch_id)
        queue.hold(None)
    return found


@pytest.fixture
def balance() -> Balance:
    return Balance("session-1", lambda _number: BTC)


def test_an_inbox_gives_what_it_was_offered_in_order_and_refuses_what_is_too_much(balance: Balance) -> None:
    inbox = Inbox(balance, most_rows=10, behind_at_rows=5)
    assert not inbox.is_behind
    assert [inbox.offer(write_set(number)) for number in range(4)] == [True, True, False, False]
    assert inbox.is_behind
    assert (balance.totals().in_flight, balance.totals().dropped) == (8, 8)
    assert [one.batch_id for one in inbox.write_sets(is_last=False)] == ["batch-0000", "batch-0001"]
    assert not inbox.is_behind
    assert inbox.offer(write_set(4, rows=50))  # larger than the whole: alone it is taken
    told, taken = inbox.write_sets(is_last=True)
    assert taken == write_set(4, rows=50)
    (ended,), (counted,) = told.segments, told.accounting  # what became of the two in between
    assert (told.batch_id, told.row_count, ended.end_cause, ended.rows) == ("batch-0002", 0, "no_room", 0)
    assert (counted.received, counted.written, counted.rejected) == (8, 0, {"no_room": 8})


def test_a_wait_for_an_inbox_ends_when_something_comes_or_at_a_hurry(balance: Balance) -> None:
    inbox = Inbox(balance, most_rows=10, behind_at_rows=5)
    for wake in (lambda: inbox.offer(write_set(0)), inbox.hurry):
        waiting = threading.Thread(target=inbox.wait, args=(600.0,))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()  # nothing has come yet
        wake()
        waiting.join(30)
        assert not waiting.is_alive()
        list(inbox.write_sets(is_last=False))


def test_a_source_that_never_ends_does_not_starve_the_next(balance: Balance) -> None:
    first, second = (Inbox(balance, most_rows=1_000, behind_at_rows=1_000) for _ in range(2))
    joined = InTurn(first, second)
    first.offer(write_set(100))
    for number in range(3):
        second.offer(write_set(number))
    found = []
    for number, one in enumerate(joined.write_sets(is_last=False)):
        second.offer(write_set(10 + number))
        found.append(one.batch_id)
        assert number < 10, "it never ends"
    assert found == ["batch-0000", "batch-0001", "batch-0002", "batch-0100"]


def test_the_queue_spills_when_a_source_is_behind(balance: Balance) -> None:
    first, second = (Inbox(balance, most_rows=1_000, behind_at_rows=5) for _ in range(2))
    queue = WriteQueue(InTurn(first, second))
    second.offer(write_set(0))
    assert take_all(queue) == ["batch-0000"]
    assert not queue.spilling.is_set()
    for number in range(1, 5):
        second.offer(write_set(number))
    queue.take(fetch=True)
    assert queue.spilling.is_set()


def test_the_buffer_and_another_source_end_in_one_database(tmp_path: Path) -> None:
    buffer = Buffer(levels_per_row=10, max_rows=10_000, flush_rows=50)
    buffer.register(BTC)
    balance = Balance("session-1", buffer.key)
    preparation = Preparation(
        SESSION, buffer.key, BookRows(lambda _: StreamFacts(BTC, 50, "simulator"), 10).settle, most_rows=100
    )
    live = BufferSource(buffer, preparation, balance, behind_at_rows=5_000)
    other = Inbox(balance, most_rows=100_000, behind_at_rows=50_000)
    store = SqlSink(lay_tables(str(tmp_path / "live.db")), synchronous="OFF")
    store.open()
    writer = WriterThread(
        InTurn(live, other),
        store,
        SpoolFile(tmp_path / "spool", max_bytes=1 << 24),
        breaker(),
        balance,
        Limits(WriterLimits(interval_s=0.02), SpoolLimits(after_s=5.0), call_timeout_s=30.0),
        session_id="session-1",
    )
    writer.start()
    levels = [100.0, 1.0] * 20
    buffer.open_segment(SegmentOpened(9, 0, 1_000, "sequence", Liveness(1_000)))

    def offer() -> None:
        for number in range(100):
            assert other.offer(write_set(number))
            buffer.hurry()

    offering = threading.Thread(target=offer)
    offering.start()
    for received, sequence in enumerate(LIVE_SEQUENCES, 1):
        assert buffer.append(0, received, 1_000 + sequence, None, sequence, 9, 10, levels)
    offering.join(30)
    wait_until(lambda: writer.committed.rows >= 900, "all written")
    assert writer.stop(20.0)
    store.close()
    with closing(sqlite3.connect(tmp_path / "live.db")) as connection:
        query = "SELECT sequence FROM l2_training_data_practical WHERE segment_id = ? ORDER BY id"
        found = {segment: [one for (one,) in connection.execute(query, (segment,))] for segment in (7, 9)}
        terms = connection.execute("SELECT received, written, pending FROM collector_accounting").fetchall()
        (ended,) = connection.execute("SELECT end_cause FROM collector_sessions").fetchone()
    assert found == {7: list(range(400)), 9: list(LIVE_SEQUENCES)}  # each in its own order, none missing
    assert terms == [(900, 900, 0)]
    assert ended == "stop"
    totals = balance.totals()
    assert (totals.written, totals.in_flight, totals.spooled, totals.dropped) == (900, 0, 0, 0)
