"""One stream from messages to rows, counts and segments."""

import sys
from pathlib import Path

import pytest

from collector.book import Did, VerifiedBook, WholeBooks
from collector.book.bridged import BridgedBook
from collector.events.batch import EXCHANGE_MS, INT_COLUMNS, Liveness
from collector.events.market import L2Update
from collector.events.messages import Delta, Side, Snapshot, TradeMessage
from collector.events.notices import StreamNow
from collector.exchanges.binance.rule import SpotContinuity, UsdmContinuity
from collector.exchanges.okx.rule import PreviousSequence

sys.path.insert(0, str(Path(__file__).parent))
from book_rig import KEY, TOPIC, Rig, told

pytestmark = pytest.mark.usefixtures("either_book")


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


def test_no_flow_is_told_over_a_step_of_the_clock() -> None:
    rig = Rig()
    heard: list[L2Update] = []
    rig.events.attach(L2Update, heard.append)
    rig.snapshot(5)
    rig.delta(6)
    if rig.stream.end_at_step(-7, rig.now_ns, "a step"):
        rig.now_ns -= 7
        rig.stream.begin_after_step(rig.now_ns)
    rig.delta(7)
    rig.delta(8)
    assert [(one.sequence, one.before is None, one.ofi) for one in heard] == [
        *((5, True, None), (6, False, 5.0)),
        *((7, True, None), (8, False, 1.0)),
    ]


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


def test_a_stream_shows_itself_as_it_stands() -> None:
    rig = Rig()
    market_id = rig.stream.topic.market_id
    assert rig.stream.glance() == StreamNow(KEY, False, market_id=market_id)
    assert (rig.stream.verification, rig.stream.by_rest, rig.stream.sees_what_is_lost) == (
        "sequence",
        False,
        True,
    )
    rig.snapshot(5)
    now = rig.stream.glance()
    assert (now.verified, now.bid, now.ask, now.received_at_ns, now.exchange_ms) == (
        True,
        100.0,
        101.0,
        10,
        1,
    )
    assert now.book is not None
    assert (now.book.bids, now.book.asks, now.book.sequence) == (((100.0, 1.0),), ((101.0, 1.0),), 5)
    assert (rig.stream.sequence, rig.stream.top()) == (5, (100.0, 1.0, 101.0, 1.0))
    assert rig.stream.compare(told(5)) is None  # nothing to compare with by REST
    rig.take(Snapshot(TOPIC, 6, 1, [], [(101.0, 1.0)]))
    now = rig.stream.glance()
    assert (now.bid, now.ask, now.received_at_ns) == (None, 101.0, 20)
    assert now.book is not None
    assert (now.book.bids, now.book.mid_price) == ((), None)
    rig.stream.lose("disconnect", "", None)
    assert not rig.stream.glance().verified


def test_what_is_none_of_a_book_is_counted_and_after_the_end_everything_is() -> None:
    rig = Rig()
    rig.stream.take(TradeMessage(TOPIC, "1", 1, 1.0, 1.0, Side.BUY), 1, Liveness(1))
    rig.snapshot(5)
    rig.stream.retire(15)
    rig.snapshot(6)
    assert rig.settled()[4] == {"malformed": 1, "unsubscribed": 1}
    assert [one.cause for one in rig.notices] == ["", "unsubscribed"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
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


class TestARefreshAheadOfTheStream:
    """REST stands at 15, the stream at 11."""

    def rig(self) -> Rig:
        rig = Rig(book=BridgedBook(SpotContinuity(), 50))
        self.doubts: list[str] = []
        rig.stream.on_doubt = lambda _, outcome: self.doubts.append(outcome.reason)
        rig.take(Snapshot(TOPIC, 10, None, [(100.0, 10.0)], [(101.0, 1.0)]))
        self.delta(rig, 11)
        return rig

    def delta(self, rig: Rig, sequence: int, size: float | None = None) -> None:
        levels = [(100.0, float(sequence) if size is None else size)]
        rig.take(Delta(TOPIC, sequence, sequence, levels, [], first_sequence=sequence))

    def rest(self, rig: Rig, sequence: int = 15) -> None:
        rig.take(Snapshot(TOPIC, sequence, None, [(100.0, float(sequence))], [(101.0, 1.0)]))

    def test_every_update_up_to_it_and_after_is_a_row_and_the_comparison_counts(self) -> None:
        rig = self.rig()
        self.rest(rig)
        for sequence in range(12, 18):
            self.delta(rig, sequence)
        batch = rig.buffer.swap()
        assert batch.counts[0].rejected == {}
        assert (batch.rows, batch.counts[0].merged) == (8, 1)
        assert list(batch.integers[EXCHANGE_MS::INT_COLUMNS])[-3:] == [15, 16, 17]
        assert [(one.compared, one.disagreed) for one in batch.witnessed.values()] == [(1, 0)]
        assert [one.cause for one in rig.notices] == [""]

    def test_a_difference_when_it_is_reached_ends_the_segment(self) -> None:
        rig = self.rig()
        self.rest(rig)
        for sequence in range(12, 15):
            self.delta(rig, sequence)
        self.delta(rig, 15, 999.0)
        batch = rig.buffer.swap()
        assert [one.cause for one in batch.closed] == ["witness"]
        assert [(one.compared, one.disagreed) for one in batch.witnessed.values()] == [(1, 1)]

    @pytest.mark.parametrize(("waited_s", "ended"), [(30, []), (31, ["edge"])])
    def test_a_stream_that_does_not_come_there_ends_the_segment(
        self, waited_s: int, ended: list[str]
    ) -> None:
        rig = self.rig()
        self.rest(rig)
        asked_ns = rig.now_ns
        self.delta(rig, 12)
        self.rest(rig, 16)  # another one does not prolong it
        rig.stream.give_up_waiting(asked_ns + waited_s * 10**9)
        assert [one.cause for one in rig.notices if not one.verified] == ended
        assert self.doubts == ended
        rig.stream.give_up_waiting(asked_ns + 10**12)
        assert len(self.doubts) == 1


def test_a_book_that_waits_for_nothing_is_not_given_up() -> None:
    rig = Rig()
    rig.snapshot(5)
    rig.stream.give_up_waiting(10**15)
    assert rig.stream.verified


@pytest.mark.parametrize("rule", [SpotContinuity(), UsdmContinuity()], ids=["spot", "linear"])
def test_a_snapshot_that_stands_where_the_stream_does_is_dated_by_the_stream(
    rule: SpotContinuity | UsdmContinuity,
) -> None:
    rig = Rig(book=BridgedBook(rule, 50))
    for number in (10, 11):
        levels = [(100.0, float(number))]
        rig.take(Delta(TOPIC, number, number * 1_000, levels, [], number, previous_sequence=number - 1))
    rig.take(Snapshot(TOPIC, 11, None, [(100.0, 11.0)], [(101.0, 1.0)]))
    assert list(rig.buffer.swap().integers[EXCHANGE_MS::INT_COLUMNS]) == [11_000]
    assert rig.stream.sequence == 11


@pytest.mark.parametrize("by_rest", [False, True])
def test_what_comes_after_the_end_opens_nothing(by_rest: bool) -> None:
    """The last frames of a socket that was given up, or of a collector that stops."""
    rig = Rig(book=BridgedBook(SpotContinuity(), 50) if by_rest else VerifiedBook(WholeBooks(), 1))
    rig.snapshot(5)
    rig.stream.lose("stop", "", rig.now_ns)
    rig.snapshot(6)
    assert rig.settled() == (2, 1, 0, 0, {"unsynced": 1})
    assert [one.cause for one in rig.notices] == ["", "stop"]
    rig.stream.asked()
    rig.snapshot(7)
    assert [one.cause for one in rig.notices] == ["", "stop", ""]


def test_a_book_that_is_lost_on_a_socket_that_stands_is_opened_by_the_snapshot_asked_for() -> None:
    rig = Rig(book=BridgedBook(SpotContinuity(), 50))
    rig.snapshot(5)
    rig.stream.lose("stale", "silent", None)
    rig.stream.expect_snapshot(True)
    rig.snapshot(6)
    assert [one.cause for one in rig.notices] == ["", "stale", ""]
    rig.stream.retire(rig.now_ns)
    rig.stream.expect_snapshot(True)
    rig.snapshot(7)
    assert [one.cause for one in rig.notices] == ["", "stale", "", "unsubscribed"]


def best(number: int | None, size: float = 1.0) -> Snapshot:
    return Snapshot(TOPIC, number, 1, [(100.0, size)], [(101.0, 1.0)])


class TestChannelsOfSnapshotsOnly:
    """Best prices: each message is whole, and nothing in the next shows what was missed before it."""

    def rig(self) -> Rig:
        rig = Rig(book=VerifiedBook(WholeBooks(), 1))
        rig.stream.asked()
        return rig

    def ask(self, rig: Rig) -> None:
        rig.stream.in_question = True
        rig.stream.asked()

    @pytest.mark.parametrize(
        ("before", "answer"), [(best(5), best(9)), (best(None), best(None, 2.0)), (best(5), best(6))]
    )
    def test_an_answer_that_shows_something_else_ends_the_segment(
        self, before: Snapshot, answer: Snapshot
    ) -> None:
        rig = self.rig()
        rig.take(before)
        self.ask(rig)
        rig.take(answer)
        assert [one.cause for one in rig.notices] == ["", "stale", ""]
        assert rig.settled() == (2, 2, 0, 0, {})
        assert not rig.stream.in_question

    @pytest.mark.parametrize("number", [5, None])
    def test_an_answer_that_shows_the_same_gives_no_row(self, number: int | None) -> None:
        rig = self.rig()
        rig.take(best(number))
        for _ in range(3):
            self.ask(rig)
            rig.take(best(number))
            assert not rig.stream.in_question
        assert [one.cause for one in rig.notices] == [""]
        assert rig.settled() == (4, 1, 3, 0, {})

    def test_what_the_old_subscription_still_sends_is_no_answer(self) -> None:
        rig = self.rig()
        rig.take(best(5))
        rig.stream.in_question = True
        rig.take(best(7))  # before the question is out
        rig.stream.asked()
        rig.take(best(7))
        assert [one.cause for one in rig.notices] == [""]
        self.ask(rig)
        rig.take(best(8))
        rig.take(best(9))  # the next one goes on as ever
        assert [one.cause for one in rig.notices] == ["", "stale", ""]

    def test_a_question_is_needed(self) -> None:
        rig = self.rig()
        for number in (5, 7, 12):
            rig.take(best(number))
            rig.stream.asked()
        assert [one.cause for one in rig.notices] == [""]
