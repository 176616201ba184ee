"""Books that were replaced are compared with trades and best prices no more, and are let go of."""

import gc
import weakref

from collector.book.verified import VerifiedBook
from collector.buffer.buffer import Buffer
from collector.events.batch import Liveness, StreamKey
from collector.events.bus import EventBus
from collector.events.messages import Delta, Snapshot
from collector.exchanges.bybit.rule import Continuity
from collector.ids import SegmentIds
from collector.streams.book_stream import BookStream
from collector.streams.market_witness import MarketWitness
from collector.streams.stream import Outlet, Topic

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
            witness.traded(number, 100.0)
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
