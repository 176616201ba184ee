"""A book that two connections bring: one segment, each update stored by whichever is first."""

import sys
from pathlib import Path

import pytest

from collector.book import VerifiedBook, WholeBooks
from collector.events.batch import INT_COLUMNS, Liveness
from collector.events.messages import Delta, Snapshot
from collector.exchanges.bybit.rule import Continuity
from collector.ids import SegmentIds
from collector.streams.book_stream import BookStream
from collector.streams.stream import Outlet, Topic

sys.path.insert(0, str(Path(__file__).parent))
from book_rig import KEY, TOPIC, Rig, told

pytestmark = pytest.mark.usefixtures("either_book")


def pair(rig: Rig, book: VerifiedBook | None = None) -> tuple[BookStream, BookStream]:
    """Return the stream of the rig, and one on a second connection that follows it."""
    outlet = Outlet(rig.buffer, rig.events, SegmentIds().next)
    topic = Topic(TOPIC, TOPIC, "BTCUSDT", "linear", 50)
    book = VerifiedBook(Continuity(), 50) if book is None else book
    new = BookStream(KEY, topic, outlet, book, levels_per_row=1, standby=True)
    return rig.stream, new


def followed() -> tuple[Rig, BookStream, BookStream, Liveness]:
    """Return a rig with a pair of which the first stands at 5, and the second follows it."""
    rig, live = Rig(), Liveness(5)
    old, new = pair(rig)
    old.take(told(5), 10, live)
    new.follow(old, live)
    return rig, old, new, live


def test_a_second_stream_goes_on_with_the_segment_from_where_the_first_one_stands() -> None:
    rig, old, new, live = followed()
    assert not new.in_step()  # it has no book
    new.take(told(6), 11, live)
    assert not new.in_step()  # nothing shows that 6 follows
    old.take(told(6), 12, live)
    assert new.in_step()
    old.lose("stop", "", 12)
    old.leave()
    new.take(Delta(TOPIC, 7, 1, [(100.0, 2.0)], []), 14, live)
    old.take(told(7), 15, live)
    batch = rig.buffer.swap()
    assert (batch.rows, batch.counts[0].merged, batch.counts[0].rejected) == (3, 1, {"unsynced": 1})
    assert len(batch.opened) == 1
    assert not batch.closed
    assert rig.notices[-1].verified
    assert (old.is_standby, new.is_standby) == (True, False)


def test_a_row_comes_from_the_connection_that_is_first_and_from_none_twice() -> None:
    rig, old, new, live = followed()
    new.take(told(5), 11, live)
    for at_ns, (stream, sequence) in enumerate([(new, 6), (new, 7), (old, 6), (old, 7), (old, 8), (new, 8)]):
        stream.take(Delta(TOPIC, sequence, 1, [(100.0, float(sequence))], []), 20 + at_ns, live)
    batch = rig.buffer.swap()
    assert batch.integers[2::INT_COLUMNS].tolist() == [5, 6, 7, 8]
    assert batch.integers[0::INT_COLUMNS].tolist() == [10, 20, 21, 24]
    assert (batch.counts[0].received, batch.counts[0].merged, len(batch.opened)) == (8, 4, 1)


def test_what_the_second_connection_has_and_the_first_never_brought_is_stored_when_that_dies() -> None:
    rig, old, new, live = followed()
    new.take(told(9), 20, live)  # 6 to 8 are missing
    new.take(Delta(TOPIC, 10, 1, [(100.0, 2.0)], []), 21, live)
    assert (
        rig.buffer.swap().counts[0].received == 1
    )  # the others are counted when it is known what became of them
    old.lose("disconnect", "reset", 30)
    batch = rig.buffer.swap()
    assert batch.integers[2::INT_COLUMNS].tolist() == [9, 10]
    assert (batch.counts[0].received, batch.counts[0].merged) == (3, 0)
    (closed,) = batch.closed
    (opened,) = batch.opened
    assert (closed.cause, closed.alive_until_ns, opened.start_ns) == ("disconnect", 20, 20)


def test_what_came_before_the_end_of_the_first_connection_is_told_as_not_stored() -> None:
    rig, old, new, live = followed()
    new.take(told(9), 11, live)
    old.take(told(6), 12, live)
    old.lose("disconnect", "reset", None)
    new.take(Delta(TOPIC, 10, 1, [(100.0, 2.0)], []), 21, live)
    batch = rig.buffer.swap()
    assert batch.integers[2::INT_COLUMNS].tolist() == [5, 6, 10]
    assert (batch.counts[0].merged, batch.counts[0].rejected) == (0, {"unsynced": 1})
    assert len(batch.opened) == 2


def test_a_gap_on_one_connection_is_none_where_the_other_goes_on() -> None:
    rig, old, new, live = followed()
    new.take(told(5), 11, live)
    old.take(Delta(TOPIC, 8, 1, [(100.0, 8.0)], []), 12, live)  # 6 and 7 are missing
    for sequence in (6, 7, 8):
        new.take(Delta(TOPIC, sequence, 1, [(100.0, 2.0)], []), 13 + sequence, live)
    batch = rig.buffer.swap()
    assert batch.integers[2::INT_COLUMNS].tolist() == [5, 6, 7, 8]
    assert not batch.closed


@pytest.mark.parametrize("cause", ["witness", "crossed", "stale"])
def test_a_doubt_about_what_is_stored_ends_the_segment_whoever_goes_on(cause: str) -> None:
    rig, old, new, live = followed()
    new.take(told(5), 11, live)
    old.end_segment(cause, "", None)
    new.take(Delta(TOPIC, 6, 1, [(100.0, 2.0)], []), 12, live)
    batch = rig.buffer.swap()
    assert [one.cause for one in batch.closed] == [cause]
    assert len(batch.opened) == 2


def test_a_connection_that_brings_nothing_more_is_waited_for_a_few_seconds() -> None:
    rig, _old, new, live = followed()
    for step, sequence in enumerate(range(9, 17)):
        new.take(told(sequence), 20 + step * 10**9, live)
    batch = rig.buffer.swap()
    assert batch.integers[2::INT_COLUMNS].tolist() == [5, *range(9, 17)]
    assert [one.cause for one in batch.closed] == ["replaced"]


def test_books_without_numbers_stand_at_the_same_update_when_time_and_levels_are_the_same() -> None:
    rig = Rig(book=VerifiedBook(WholeBooks("checksum", ids_grow=False), 50))
    old, new = pair(rig, VerifiedBook(WholeBooks("checksum", ids_grow=False), 50))
    live = Liveness(5)
    old.take(told(None, 1.0, 1), 10, live)
    new.follow(old, live)
    new.take(told(None, 1.0, 3), 11, live)  # the same levels, two updates later
    assert not new.in_step()
    old.take(told(None, 2.0, 2), 12, live)
    assert not new.in_step()
    old.take(told(None, 1.0, 3), 13, live)
    assert new.in_step()
    batch = rig.buffer.swap()
    assert (batch.rows, batch.counts[0].merged) == (3, 1)


def test_books_without_numbers_and_times_stand_together_in_a_market_at_rest() -> None:
    rig = Rig(book=VerifiedBook(WholeBooks("checksum", ids_grow=False), 50))
    old, new = pair(rig, VerifiedBook(WholeBooks("checksum", ids_grow=False), 50))
    live = Liveness(5)
    old.take(Snapshot(TOPIC, None, None, [(100.0, 1.0)], [(101.0, 1.0)]), 10, live)
    new.follow(old, live)
    new.take(Snapshot(TOPIC, None, None, [(100.0, 1.0)], [(101.0, 1.0)]), 11, live)
    assert not new.in_step()
    live.heard_ns = 3 * 10**9
    assert new.in_step()


def test_one_that_never_stood_where_the_other_did_begins_a_segment_of_its_own() -> None:
    rig, old, new, live = followed()
    new.stand_in(12)  # it has nothing yet: the other one stays
    new.take(told(9), 11, live)
    new.stand_in(12)
    new.take(told(10), 13, live)
    old.take(told(6), 14, live)
    batch = rig.buffer.swap()
    assert [(one.cause, one.alive_until_ns) for one in batch.closed] == [("replaced", 11)]
    assert batch.integers[2::INT_COLUMNS].tolist() == [5, 9, 10]
    assert (len(batch.opened), batch.counts[0].merged) == (2, 0)
