"""What is kept for snapshots under way is bounded over all books, and a book that lost some knows it."""

import tracemalloc

from collector.book.bridged import BridgedBook
from collector.book.kept_deltas import DELTA_BYTES, LEVEL_BYTES, DeltaMemory, KeptDeltas
from collector.book.verified import Did
from collector.events.messages import Delta, Levels, Snapshot
from collector.exchanges.binance.rule import SpotContinuity

TOPIC = "btcusdt@depth"
SMALL = DELTA_BYTES + LEVEL_BYTES  # of a delta of one level


def delta(number: int, levels: Levels = ((100.0, 1.0),)) -> Delta:
    return Delta(TOPIC, number, number, levels, [], number)


def rest(number: int) -> Snapshot:
    return Snapshot(TOPIC, number, None, [(100.0, 5.0)], [(101.0, 1.0)])


def numbers(kept: KeptDeltas) -> list[int | None]:
    return [one.sequence for one in kept]


def test_the_oldest_of_all_books_go_first() -> None:
    memory = DeltaMemory(3 * SMALL)
    one, other = KeptDeltas(memory), KeptDeltas(memory)
    for kept, number in ((one, 1), (other, 2), (one, 3), (other, 4), (other, 5)):
        kept.append(delta(number))
    assert (numbers(one), numbers(other)) == ([3], [4, 5])
    assert (one.lost_to, other.lost_to) == (1, 2)
    assert memory.held_bytes == 3 * SMALL
    other.clear()
    assert memory.held_bytes == SMALL
    assert (len(other), other.lost_to) == (0, None)
    for number in (6, 7):
        one.append(delta(number))
    assert (numbers(one), one.lost_to) == ([3, 6, 7], 1)


def test_one_that_is_larger_than_all_the_room_is_not_kept() -> None:
    memory = DeltaMemory(SMALL)
    kept = KeptDeltas(memory)
    kept.append(delta(1, [(100.0, 1.0), (99.0, 1.0)]))
    assert (numbers(kept), kept.lost_to, memory.held_bytes) == ([], 1, 0)


def test_one_book_keeps_so_many_at_most() -> None:
    kept = KeptDeltas(DeltaMemory())
    for number in range(5003):
        kept.append(delta(number))
    assert (len(kept), kept.lost_to) == (5000, 2)


def test_memory_stays_under_the_bound_however_many_books_wait() -> None:
    """Sixty levels each, as a busy market sends; all of it is counted, lists and numbers too."""
    most_bytes = 2**20
    books = [BridgedBook(SpotContinuity(), 20, memory=memory) for memory in [DeltaMemory(most_bytes)] * 10]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(100):
            for place, book in enumerate(books):
                levels = [(100.0 + place + step / 7, 1.0 + number + step / 3) for step in range(60)]
                assert book.apply_delta(delta(number, levels)).reason == "unsynced"
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert most_bytes / 2 < held < most_bytes


def test_a_book_that_lost_some_needs_a_snapshot_beyond_them() -> None:
    book = BridgedBook(SpotContinuity(), 20, memory=DeltaMemory(2 * SMALL))
    for number in range(11, 16):
        book.apply_delta(delta(number, [(100.0, float(number))]))
    assert numbers(book._recent) == [14, 15]
    outcome = book.apply_snapshot(rest(12))
    assert (outcome.did, outcome.reason) == (Did.REJECTED, "stale_snapshot")
    assert book.apply_snapshot(rest(13)).did is Did.OPENED
    assert (book.last_sequence, book.book.top(1)[:2]) == (15, [100.0, 15.0])


def test_a_book_that_could_keep_none_is_not_opened_behind_its_stream() -> None:
    book = BridgedBook(SpotContinuity(), 20, memory=DeltaMemory(0))
    book.apply_delta(delta(11))
    assert book.apply_snapshot(rest(10)).reason == "stale_snapshot"
    assert book.apply_snapshot(rest(11)).did is Did.OPENED
    assert book.apply_delta(delta(12)).did is Did.CONTINUED


def test_what_a_book_kept_is_let_go_once_it_stands() -> None:
    memory = DeltaMemory()
    book = BridgedBook(SpotContinuity(), 20, memory=memory)
    book.apply_delta(delta(11))
    assert memory.held_bytes == SMALL
    book.apply_snapshot(rest(10))
    book.apply_delta(delta(12))
    assert memory.held_bytes == 0
