"""One stream from messages to rows, counts and segments."""

import pytest

from collector.book.bridged import BridgedBook
from collector.book.verified import Did, VerifiedBook, WholeBooks
from collector.buffer.buffer import Buffer
from collector.events.batch import EXCHANGE_MS, INT_COLUMNS, Liveness, StreamKey
from collector.events.bus import EventBus
from collector.events.market import L2Update
from collector.events.messages import Delta, Side, Snapshot, Trade
from collector.events.notices import SegmentChanged, StreamNow
from collector.exchanges.binance.rule import SpotContinuity
from collector.exchanges.bybit.rule import Continuity
from collector.exchanges.okx.rule import PreviousSequence
from collector.ids import SegmentIds
from collector.streams.book_stream import BookStream
from collector.streams.stream import Outlet, Topic

KEY = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
TOPIC = "orderbook.50.BTCUSDT"


class Rig:
    def __init__(self, max_rows: int = 100, book: VerifiedBook | None = None) -> None:
        self.buffer = Buffer(levels_per_row=1, max_rows=max_rows, flush_rows=1000)
        self.notices: list[SegmentChanged] = []
        self.events = events = EventBus()
        events.attach(SegmentChanged, self.notices.append)
        self.stream = BookStream(
            KEY,
            Topic(TOPIC, TOPIC, "BTCUSDT", "linear", 50),
            Outlet(self.buffer, events, SegmentIds().next),
            VerifiedBook(Continuity(50), 50) if book is None else book,
            levels_per_row=1,
        )
        self.now_ns = 0

    def snapshot(self, sequence: int) -> None:
        self.take(Snapshot(TOPIC, sequence, 1, [(100.0, 1.0)], [(101.0, 1.0)]))

    def delta(self, sequence: int) -> None:
        self.take(Delta(TOPIC, sequence, 1, [(100.0, float(sequence))], []))

    def take(self, message: Snapshot | Delta) -> None:
        self.now_ns += 10
        self.stream.take(message, self.now_ns, Liveness(self.now_ns))

    def settled(self) -> tuple[int, int, int, int, dict[str, int]]:
        """Return received, rows, merged, dropped, rejected; the identity must hold."""
        batch = self.buffer.swap()
        counts = batch.counts[0]
        assert counts.received == batch.rows + counts.merged + counts.dropped + sum(counts.rejected.values())
        return counts.received, batch.rows, counts.merged, counts.dropped, counts.rejected


def test_each_message_is_settled_exactly_once() -> None:
    rig = Rig()
    rig.delta(4)  # before the snapshot
    rig.snapshot(5)
    rig.delta(6)
    rig.delta(6)  # once more
    rig.snapshot(6)  # nothing new
    rig.delta(9)  # a gap
    rig.delta(10)  # while resyncing
    rig.snapshot(11)
    assert rig.settled() == (8, 3, 1, 0, {"unsynced": 2, "stale": 1, "sequence_gap": 1})
    assert [(one.verified, one.cause) for one in rig.notices] == [
        (True, ""),
        (False, "sequence_gap"),
        (True, ""),
    ]


def test_a_full_buffer_ends_the_segment_and_the_next_row_begins_another() -> None:
    rig = Rig(max_rows=2)
    rig.snapshot(1)
    for sequence in (2, 3, 4):
        rig.delta(sequence)
    assert rig.settled()[:4] == (4, 2, 0, 2)
    rig.delta(5)  # the book went on being right
    batch = rig.buffer.swap()
    assert batch.rows == 1
    assert batch.levels.tolist() == [100.0, 5.0, 101.0, 1.0]
    assert [one.cause for one in rig.notices] == ["", "no_room", ""]


@pytest.mark.parametrize(("sequence", "causes"), [(5, [""]), (9, ["", "stale", ""])])
def test_a_silent_stream_is_stale_only_if_the_new_snapshot_is_another(
    sequence: int, causes: list[str]
) -> None:
    rig = Rig()
    rig.snapshot(5)
    news_ns = rig.stream.last_update_at_ns
    rig.stream.in_question = True
    rig.snapshot(sequence)
    assert [one.cause for one in rig.notices] == causes
    assert not rig.stream.in_question
    assert (rig.stream.last_update_at_ns > news_ns) is (sequence != 5)


@pytest.mark.parametrize("repeats_when_quiet", [False, True])
def test_what_is_sent_again_is_news_only_from_an_exchange_that_repeats_a_quiet_book(
    repeats_when_quiet: bool,
) -> None:
    book = VerifiedBook(PreviousSequence(), 50)
    rig = Rig(book=book)
    rig.stream.repeats_when_quiet = repeats_when_quiet
    rig.snapshot(5)
    rig.take(Delta(TOPIC, 7, 1, [(100.0, 7.0)], [], previous_sequence=5))
    news_ns = rig.stream.last_update_at_ns
    rig.take(Delta(TOPIC, 7, 2, [], [], previous_sequence=7))
    assert (rig.stream.last_update_at_ns > news_ns) is repeats_when_quiet
    assert rig.settled() == (3, 2, 1, 0, {})


def test_numbers_that_begin_again_end_the_segment_and_the_same_update_begins_the_next() -> None:
    rig = Rig(book=VerifiedBook(PreviousSequence(), 50))
    rig.snapshot(5)
    rig.take(Delta(TOPIC, 3, 1, [(100.0, 3.0)], [], previous_sequence=5))
    rig.take(Delta(TOPIC, 4, 1, [(100.0, 4.0)], [], previous_sequence=3))
    assert rig.settled() == (3, 3, 0, 0, {})
    assert [(one.verified, one.cause) for one in rig.notices] == [(True, ""), (False, "restart"), (True, "")]
    assert rig.stream.top() == (100.0, 4.0, 101.0, 1.0)


def test_listeners_hear_each_state_with_the_segment_of_its_row_and_the_flow_since_the_one_before() -> None:
    rig = Rig()
    rig.snapshot(5)  # nobody listens yet
    heard: list[L2Update] = []
    rig.events.attach(L2Update, heard.append)
    rig.delta(6)
    rig.delta(8)  # a gap: no state
    rig.snapshot(9)
    rig.delta(10)
    rig.delta(10)  # once more: no state
    told = [(one.sequence, one.bids, one.asks, one.ofi, one.received_at_ns) for one in heard]
    asks = ((101.0, 1.0),)
    assert told == [
        (6, ((100.0, 6.0),), asks, 5.0, 20),
        (9, ((100.0, 1.0),), asks, None, 40),
        (10, ((100.0, 10.0),), asks, 9.0, 50),
    ]
    opened = [one.segment_id for one in rig.notices if one.verified]
    assert [one.segment_id for one in heard] == [opened[0], opened[1], opened[1]]
    assert {(one.exchange, one.symbol, one.channel) for one in heard} == {KEY}


def test_listeners_hear_what_the_buffer_has_no_room_for() -> None:
    rig = Rig(max_rows=1)
    heard: list[L2Update] = []
    rig.events.attach(L2Update, heard.append)
    rig.snapshot(5)
    for sequence in (6, 7):
        rig.delta(sequence)
    assert [one.sequence for one in heard] == [5, 6, 7]
    assert [one.segment_id is None for one in heard] == [False, True, True]
    assert [one.ofi for one in heard] == [None, None, None]
    rig.buffer.swap()
    rig.delta(8)
    assert heard[-1].segment_id == rig.notices[-1].segment_id
    assert heard[-1].ofi is None


@pytest.mark.parametrize("snapshot_ms", [1_000, None], ids=["linear", "spot"])
def test_a_book_opened_by_rest_is_dated_by_the_last_update_that_is_in_it(snapshot_ms: int | None) -> None:
    """Updates that came while REST answered are newer than its snapshot, and in the first row."""
    rig = Rig(book=BridgedBook(SpotContinuity(), 50))
    updates: list[L2Update] = []
    rig.events.attach(L2Update, updates.append)
    rig.take(Delta(TOPIC, 11, 2_000, [(100.0, 2.0)], [], first_sequence=11))
    rig.take(Snapshot(TOPIC, 10, snapshot_ms, [(100.0, 1.0)], [(101.0, 1.0)]))
    rig.take(Delta(TOPIC, 12, 3_000, [(100.0, 3.0)], [], first_sequence=12))
    stored = rig.buffer.swap().integers
    assert list(stored[EXCHANGE_MS::INT_COLUMNS]) == [2_000, 3_000]
    assert [(one.sequence, one.exchange_ms) for one in updates] == [(11, 2_000), (12, 3_000)]
    assert rig.stream.glance().exchange_ms == 3_000


def pair(rig: Rig, book: VerifiedBook | None = None) -> tuple[BookStream, BookStream]:
    """Return the stream of the rig, and one on a second connection that follows it."""
    outlet = Outlet(rig.buffer, rig.events, SegmentIds().next)
    topic = Topic(TOPIC, TOPIC, "BTCUSDT", "linear", 50)
    book = VerifiedBook(Continuity(50), 50) if book is None else book
    new = BookStream(KEY, topic, outlet, book, levels_per_row=1, standby=True)
    return rig.stream, new


def told(sequence: int | None, size: float = 1.0, at_ms: int = 1) -> Snapshot:
    return Snapshot(TOPIC, sequence, at_ms, [(100.0, size)], [(101.0, 1.0)])


def test_a_second_stream_goes_on_with_the_segment_from_where_the_first_one_stands() -> None:
    rig = Rig()
    old, new = pair(rig)
    live = Liveness(5)
    old.take(told(5), 10, live)
    new.follow(old, live)
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
    rig = Rig()
    old, new = pair(rig)
    live = Liveness(5)
    old.take(told(5), 10, live)
    new.follow(old, live)
    new.take(told(5), 11, live)
    for at_ns, (stream, sequence) in enumerate([(new, 6), (new, 7), (old, 6), (old, 7), (old, 8), (new, 8)]):
        stream.take(Delta(TOPIC, sequence, 1, [(100.0, float(sequence))], []), 20 + at_ns, live)
    batch = rig.buffer.swap()
    assert batch.integers[2::INT_COLUMNS].tolist() == [5, 6, 7, 8]
    assert batch.integers[0::INT_COLUMNS].tolist() == [10, 20, 21, 24]
    assert (batch.counts[0].received, batch.counts[0].merged, len(batch.opened)) == (8, 4, 1)


def test_what_the_second_connection_has_and_the_first_never_brought_is_stored_when_that_dies() -> None:
    rig = Rig()
    old, new = pair(rig)
    live = Liveness(5)
    old.take(told(5), 10, live)
    new.follow(old, live)
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
    rig = Rig()
    old, new = pair(rig)
    live = Liveness(5)
    old.take(told(5), 10, live)
    new.follow(old, live)
    new.take(told(9), 11, live)
    old.take(told(6), 12, live)
    old.lose("disconnect", "reset", None)
    new.take(Delta(TOPIC, 10, 1, [(100.0, 2.0)], []), 21, live)
    batch = rig.buffer.swap()
    assert batch.integers[2::INT_COLUMNS].tolist() == [5, 6, 10]
    assert (batch.counts[0].merged, batch.counts[0].rejected) == (0, {"unsynced": 1})
    assert len(batch.opened) == 2


def test_a_gap_on_one_connection_is_none_where_the_other_goes_on() -> None:
    rig = Rig()
    old, new = pair(rig)
    live = Liveness(5)
    old.take(told(5), 10, live)
    new.follow(old, live)
    new.take(told(5), 11, live)
    old.take(Delta(TOPIC, 8, 1, [(100.0, 8.0)], []), 12, live)  # 6 and 7 are missing
    for sequence in (6, 7, 8):
        new.take(Delta(TOPIC, sequence, 1, [(100.0, 2.0)], []), 13 + sequence, live)
    batch = rig.buffer.swap()
    assert batch.integers[2::INT_COLUMNS].tolist() == [5, 6, 7, 8]
    assert not batch.closed


@pytest.mark.parametrize("cause", ["witness", "crossed", "stale"])
def test_a_doubt_about_what_is_stored_ends_the_segment_whoever_goes_on(cause: str) -> None:
    rig = Rig()
    old, new = pair(rig)
    live = Liveness(5)
    old.take(told(5), 10, live)
    new.follow(old, live)
    new.take(told(5), 11, live)
    old.end_segment(cause, "", None)
    new.take(Delta(TOPIC, 6, 1, [(100.0, 2.0)], []), 12, live)
    batch = rig.buffer.swap()
    assert [one.cause for one in batch.closed] == [cause]
    assert len(batch.opened) == 2


def test_a_connection_that_brings_nothing_more_is_waited_for_a_few_seconds() -> None:
    rig = Rig()
    old, new = pair(rig)
    live = Liveness(5)
    old.take(told(5), 10, live)
    new.follow(old, live)
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
    rig = Rig()
    old, new = pair(rig)
    live = Liveness(5)
    old.take(told(5), 10, live)
    new.follow(old, live)
    new.stand_in(12)  # it has nothing yet: the other one stays
    new.take(told(9), 11, live)
    new.stand_in(12)
    new.take(told(10), 13, live)
    old.take(told(6), 14, live)
    batch = rig.buffer.swap()
    assert [(one.cause, one.alive_until_ns) for one in batch.closed] == [("replaced", 11)]
    assert batch.integers[2::INT_COLUMNS].tolist() == [5, 9, 10]
    assert (len(batch.opened), batch.counts[0].merged) == (2, 0)


def test_a_stream_shows_itself_as_it_stands() -> None:
    rig = Rig()
    assert rig.stream.glance() == StreamNow(KEY, False)
    assert (rig.stream.verification, rig.stream.by_rest, rig.stream.sees_what_is_lost) == (
        "sequence",
        False,
        True,
    )
    rig.snapshot(5)
    assert rig.stream.glance() == StreamNow(KEY, True, 100.0, 101.0, 10, 1)
    assert (rig.stream.sequence, rig.stream.top()) == (5, (100.0, 1.0, 101.0, 1.0))
    assert rig.stream.compare(told(5)) is None  # nothing to compare with by REST
    rig.take(Snapshot(TOPIC, 6, 1, [], [(101.0, 1.0)]))
    assert rig.stream.glance() == StreamNow(KEY, True, None, 101.0, 20, 1)
    rig.stream.lose("disconnect", "", None)
    assert not rig.stream.glance().verified


def test_what_is_none_of_a_book_is_counted_and_after_the_end_everything_is() -> None:
    rig = Rig()
    rig.stream.take(Trade(TOPIC, "1", 1, 1.0, 1.0, Side.BUY), 1, Liveness(1))
    rig.snapshot(5)
    rig.stream.retire(15)
    rig.snapshot(6)
    assert rig.settled()[4] == {"malformed": 1, "unsubscribed": 1}
    assert [one.cause for one in rig.notices] == ["", "unsubscribed"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (f'{{"topic":"{TOPIC}"', True),
        ('{"symbol":"BTC/USDT"', True),
        ('{"s":"BTCUSDT"', True),
        ('{"s":"ETHUSDT"', False),
        ('{"s":"1000BTCUSDT"', False),
        ("BTCUSDT", False),
    ],
)
def test_an_unreadable_frame_could_be_meant_where_it_names_the_market(text: str, meant: bool) -> None:
    assert Rig().stream.could_be_meant(text) is meant


def test_a_doubted_book_ends_its_segment_and_one_that_is_none_is_left_alone() -> None:
    rig = Rig()
    assert rig.stream.doubt("witness", "said otherwise").did is Did.REJECTED
    rig.snapshot(5)
    rig.stream.count_witnessed(3, 1)
    assert rig.stream.doubt("witness", "said otherwise").did is Did.BROKE
    rig.stream.count_witnessed(9, 9)  # no segment is open
    batch = rig.buffer.swap()
    assert [(one.cause, one.detail) for one in batch.closed] == [("witness", "said otherwise")]
    assert [(one.compared, one.disagreed) for one in batch.witnessed.values()] == [(3, 1)]
