"""Books that were replaced are compared with trades and best prices no more, and are let go of."""

import gc
import weakref

import pytest

from collector.book.bridged import BridgedBook
from collector.book.verified import Did, Outcome, VerifiedBook
from collector.buffer.buffer import Buffer
from collector.events.batch import INT_COLUMNS, SEQUENCE, Liveness, StreamKey
from collector.events.bus import EventBus
from collector.events.messages import Delta, Snapshot
from collector.exchanges.binance.rule import SpotContinuity
from collector.exchanges.bybit.rule import Continuity
from collector.ids import SegmentIds
from collector.streams.book_stream import BookStream
from collector.streams.market_witness import MarketWitness
from collector.streams.stream import Outlet, Topic

pytestmark = pytest.mark.usefixtures("either_book")

TIMES = 100
KEY = StreamKey("bybit", "BTC/USDT", "book.50")
TOPIC = "orderbook.50.BTCUSDT"


def test_what_a_standby_brings_from_before_it_began_is_stored_already() -> None:
    buffer = Buffer(levels_per_row=1, max_rows=1000, flush_rows=1000)
    outlet = Outlet(buffer, EventBus(), SegmentIds().next)
    topic, live = Topic(TOPIC, TOPIC, "BTCUSDT", "spot", 50), Liveness(1)
    old, new = (
        BookStream(KEY, topic, outlet, VerifiedBook(Continuity(), 50), levels_per_row=1, standby=is_standby)
        for is_standby in (False, True)
    )

    def bring(stream: BookStream, first: int, last: int) -> None:
        stream.take(Snapshot(TOPIC, first, 1, [(100.0, float(first))], [(101.0, 1.0)]), first, live)
        for number in range(first + 1, last + 1):
            stream.take(Delta(TOPIC, number, 1, [(100.0, float(number))], []), number, live)

    bring(old, 3, 6)
    new.follow(old, live)
    bring(new, 2, 6)
    assert new.in_step()
    counts = buffer.swap().counts
    assert (counts[old.number].merged, counts[old.number].rejected) == (4, {"stale": 1})


@pytest.mark.parametrize("awaiting", ["old", "new"])
@pytest.mark.parametrize("dies_at", [13, 16])
def test_a_hand_over_while_a_snapshot_is_awaited_loses_nothing(awaiting: str, dies_at: int) -> None:
    """REST stands at 15 while both streams stand at 12; the old connection ends before that, or after."""
    buffer = Buffer(levels_per_row=1, max_rows=1000, flush_rows=1000)
    outlet = Outlet(buffer, EventBus(), SegmentIds().next)
    topic, live = Topic(TOPIC, TOPIC, "BTCUSDT", "spot", 50), Liveness(1)
    old, new = (
        BookStream(
            KEY, topic, outlet, BridgedBook(SpotContinuity(), 50), levels_per_row=1, standby=is_standby
        )
        for is_standby in (False, True)
    )

    def rest(stream: BookStream, number: int) -> Outcome:
        return stream.take(
            Snapshot(TOPIC, number, None, [(100.0, float(number))], [(101.0, 1.0)]), number, live
        )

    def bring(stream: BookStream, number: int) -> None:
        levels = [(100.0, float(number))]
        stream.take(Delta(TOPIC, number, number, levels, [], first_sequence=number), number, live)

    rest(old, 10)
    bring(old, 11)
    new.follow(old, live)
    rest(new, 11)
    for stream in (old, new):
        bring(stream, 12)
    assert rest(old if awaiting == "old" else new, 15).did is Did.AWAITED
    for number in range(13, 19):
        if number <= dies_at:
            bring(old, number)
        bring(new, number)
        if number == dies_at:
            old.lose("disconnect", "", number)
    assert new.in_step()
    old.leave()
    batch = buffer.swap()
    assert [int(one) for one in batch.integers[SEQUENCE::INT_COLUMNS]] == list(range(10, 19))
    assert (len(batch.opened), len(batch.closed)) == (1, 0)
    tally = batch.counts[old.number]
    assert tally.rejected == {}
    received = (1 + dies_at - 10) + (1 + 7) + 1  # by the old side, by the new one, and the awaited snapshot
    assert batch.rows + tally.merged == tally.received == received


def test_books_that_were_replaced_are_compared_no_more() -> None:
    buffer = Buffer(levels_per_row=1, max_rows=1000, flush_rows=1000)
    outlet = Outlet(buffer, EventBus(), SegmentIds().next)
    topic, live, witness = Topic(TOPIC, TOPIC, "BTCUSDT", "spot", 50), Liveness(1), MarketWitness("cross")

    def make(*, standby: bool) -> BookStream:
        book = VerifiedBook(Continuity(), 50)
        stream = BookStream(KEY, topic, outlet, book, levels_per_row=1, standby=standby)
        witness.watch(stream)
        return stream

    old = make(standby=False)
    old.take(Snapshot(TOPIC, 1, 1, [(100.0, 1.0)], [(101.0, 1.0)]), 1, live)
    known = []
    gc.disable()  # what is let go of must not wait for the collector
    try:
        for number in range(2, TIMES + 2):
            new = make(standby=True)
            new.follow(old, live)
            new.take(Snapshot(TOPIC, number - 1, 1, [(100.0, 1.0)], [(101.0, 1.0)]), number, live)
            new.take(Delta(TOPIC, number, 1, [(100.0, float(number))], []), number, live)
            witness.traded(number, 100.0, number)
            assert new.in_step()
            old.lose("stop", "", number)
            old.leave()
            known.append(weakref.ref(old))
            old = new
        assert list(witness._books) == [old]
        assert [one for one in known if one() is not None and one() is not old] == []
    finally:
        gc.enable()
    batch = buffer.swap()
    assert (batch.rows, len(batch.opened), len(batch.closed)) == (TIMES + 1, 1, 0)
