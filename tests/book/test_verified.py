"""A book is believed only while its sequence is unbroken."""

import pytest

from collector.book import MERGED, BookState, Did, Verdict, VerifiedBook, WholeBooks
from collector.events.messages import Delta, Snapshot
from collector.exchanges.bybit.rule import Continuity, rule_of
from collector.exchanges.registry import exchange_of

BIDS, ASKS = [(100.0, 1.0), (99.0, 1.0)], [(101.0, 1.0), (102.0, 1.0)]
TOPIC = "orderbook.50.BTCUSDT"


def snapshot(
    sequence: int, bids: list[tuple[float, float]] = BIDS, asks: list[tuple[float, float]] = ASKS
) -> Snapshot:
    return Snapshot(TOPIC, sequence, 1, bids, asks)


def delta(sequence: int, *bids: tuple[float, float], asks: list[tuple[float, float]] | None = None) -> Delta:
    return Delta(TOPIC, sequence, 1, list(bids), asks or [])


def synced(depth: int = 50) -> VerifiedBook:
    book = VerifiedBook(rule_of("linear", f"book.{depth}", {}), depth)
    book.apply_snapshot(snapshot(10))
    return book


def test_deltas_before_a_snapshot_are_not_believed() -> None:
    book = VerifiedBook(Continuity(), 50)
    outcome = book.apply_delta(delta(10, (100.0, 1.0)))
    assert (outcome.did, outcome.reason) == (Did.REJECTED, "unsynced")
    assert book.state is BookState.UNSYNCED


def test_a_snapshot_opens_and_the_next_sequence_continues() -> None:
    book = VerifiedBook(Continuity(), 50)
    assert book.apply_snapshot(snapshot(10)).did is Did.OPENED
    assert book.apply_delta(delta(11, (100.0, 7.0))).did is Did.CONTINUED
    assert book.book.top(1) == [100.0, 7.0, 101.0, 1.0]


@pytest.mark.parametrize("sequence", [12, 9, 5, 1000])
def test_a_jump_in_either_direction_breaks_the_book(sequence: int) -> None:
    book = synced()
    outcome = book.apply_delta(delta(sequence, (100.0, 7.0)))
    assert (outcome.did, outcome.reason) == (Did.BROKE, "sequence_gap")
    assert book.state is BookState.RESYNCING
    assert book.apply_delta(delta(sequence + 1)).reason == "unsynced"
    assert book.apply_snapshot(snapshot(sequence + 2)).did is Did.OPENED


def test_the_same_delta_once_more_is_stale_and_harmless() -> None:
    book = synced()
    book.apply_delta(delta(11, (100.0, 7.0)))
    outcome = book.apply_delta(delta(11, (100.0, 8.0)))
    assert (outcome.did, outcome.reason) == (Did.REJECTED, "stale")
    assert book.book.top(1)[1] == 7.0
    assert book.apply_delta(delta(12)).did is Did.CONTINUED


def test_a_restart_snapshot_begins_again() -> None:
    book = synced()
    outcome = book.apply_snapshot(snapshot(1, [(50.0, 1.0)], [(51.0, 1.0)]))
    assert (outcome.did, outcome.reason) == (Did.REOPENED, "restart")
    assert book.book.top(1) == [50.0, 1.0, 51.0, 1.0]


def test_a_repeated_snapshot_changes_nothing() -> None:
    book = synced()
    assert book.apply_snapshot(snapshot(10)).did is Did.MERGED


def test_a_snapshot_that_follows_continues() -> None:
    assert synced().apply_snapshot(snapshot(11)).did is Did.CONTINUED


def test_the_top_of_book_channel_is_snapshots_that_only_grow() -> None:
    book = synced(depth=1)
    assert book.apply_snapshot(snapshot(15)).did is Did.CONTINUED
    assert book.apply_snapshot(snapshot(15)).did is Did.MERGED
    assert book.apply_snapshot(snapshot(3)).did is Did.REOPENED


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (delta(11, (101.0, 1.0)), "crossed"),
        (delta(11, (105.0, 1.0)), "crossed"),
        (delta(11, (float("nan"), 1.0)), "not_finite"),
        (delta(11, (100.0, -1.0)), "out_of_range"),
        (delta(11, (0.0, 1.0)), "out_of_range"),
    ],
)
def test_a_delta_that_cannot_be_true_breaks_the_book(message: Delta, reason: str) -> None:
    book = synced()
    outcome = book.apply_delta(message)
    assert (outcome.did, outcome.reason) == (Did.BROKE, reason)
    assert book.state is BookState.RESYNCING


@pytest.mark.parametrize(("bids", "asks", "reason"), [([], [], "empty"), (ASKS, BIDS, "crossed")])
def test_a_snapshot_that_cannot_be_true_opens_nothing(
    bids: list[tuple[float, float]], asks: list[tuple[float, float]], reason: str
) -> None:
    book = VerifiedBook(Continuity(), 50)
    outcome = book.apply_snapshot(snapshot(10, bids, asks))
    assert (outcome.did, outcome.reason) == (Did.BROKE, reason)
    assert book.state is BookState.UNSYNCED


def test_the_book_is_cut_to_the_subscribed_depth() -> None:
    book = VerifiedBook(rule_of("linear", "bbo", {}), 1)
    book.apply_snapshot(snapshot(10))
    assert list(book.book.bids.prices) == [100.0]
    assert list(book.book.asks.prices) == [101.0]


class TestAbsurdJumps:
    def book(self) -> VerifiedBook:
        book = VerifiedBook(Continuity(), 50, max_jump=0.1)
        assert book.apply_snapshot(Snapshot("t", 5, 1, [(100.0, 1.0)], [(102.0, 1.0)])).did is Did.OPENED
        return book

    def test_a_jump_is_not_believed_until_a_fresh_snapshot_says_the_same(self) -> None:
        book = self.book()
        jump = Delta("t", 6, 1, [(100.0, 0.0), (149.0, 1.0)], [(102.0, 0.0), (151.0, 1.0)])
        outcome = book.apply_delta(jump)
        assert (outcome.did, outcome.reason) == (Did.BROKE, "absurd")
        assert "101.0" in outcome.detail
        assert book.apply_delta(Delta("t", 7, 1, [(149.0, 2.0)], [])).reason == "unsynced"
        assert book.apply_snapshot(Snapshot("t", 8, 1, [(149.0, 1.0)], [(151.0, 1.0)])).did is Did.OPENED
        assert book.apply_delta(Delta("t", 9, 1, [(149.0, 2.0)], [])).did is Did.CONTINUED

    def test_what_moves_less_is_believed(self) -> None:
        book = self.book()
        nearly = Delta("t", 6, 1, [(100.0, 0.0), (110.0, 1.0)], [(102.0, 0.0), (112.0, 1.0)])
        assert book.apply_delta(nearly).did is Did.CONTINUED

    def test_a_side_that_was_empty_for_a_while_is_no_way_around_it(self) -> None:
        book = self.book()
        assert book.apply_delta(Delta("t", 6, 1, [(100.0, 0.0)], [])).did is Did.CONTINUED
        assert book.apply_delta(Delta("t", 7, 1, [(10.0, 1.0)], [])).reason == "absurd"

    def test_without_a_limit_everything_is_believed(self) -> None:
        book = VerifiedBook(Continuity(), 50)
        book.apply_snapshot(Snapshot("t", 5, 1, [(100.0, 1.0)], [(102.0, 1.0)]))
        far = Delta("t", 6, 1, [(100.0, 0.0), (1.0, 1.0)], [(102.0, 0.0), (2.0, 1.0)])
        assert book.apply_delta(far).did is Did.CONTINUED


class WithoutNumbers:
    """A rule of an exchange whose snapshots have no number: each is a new beginning."""

    verification = "checksum"

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        del last_sequence, snapshot
        return Verdict.RESTARTS

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        del last_sequence, delta
        return Verdict.CONTINUES


class TestWithoutNumbers:
    def book(self) -> VerifiedBook:
        book = VerifiedBook(WithoutNumbers(), 50)
        assert book.apply_snapshot(Snapshot(TOPIC, None, 1, BIDS, ASKS)).did is Did.OPENED
        return book

    def test_a_snapshot_with_the_same_levels_says_nothing_new(self) -> None:
        assert self.book().apply_snapshot(Snapshot(TOPIC, None, 2, BIDS, ASKS)) == MERGED

    @pytest.mark.parametrize(
        ("bids", "asks"), [([(100.0, 2.0)], ASKS), (BIDS, [(101.5, 1.0)]), (BIDS, ASKS[:1]), (BIDS[:1], ASKS)]
    )
    def test_a_snapshot_with_other_levels_shows_that_something_was_missed(
        self, bids: list[tuple[float, float]], asks: list[tuple[float, float]]
    ) -> None:
        book = self.book()
        outcome = book.apply_snapshot(Snapshot(TOPIC, None, 2, bids, asks))
        assert (outcome.did, outcome.reason) == (Did.REOPENED, "restart")
        assert (book.book.bids.sizes, book.book.asks.sizes) == (dict(bids), dict(asks))


@pytest.mark.parametrize(("bids", "asks"), [(BIDS, []), ([], ASKS)])
def test_a_market_with_one_side_only_is_a_book(
    bids: list[tuple[float, float]], asks: list[tuple[float, float]]
) -> None:
    book = VerifiedBook(Continuity(), 50)
    assert book.apply_snapshot(snapshot(10, bids, asks)).did is Did.OPENED
    assert (book.book.bids.sizes, book.book.asks.sizes) == (dict(bids), dict(asks))


@pytest.mark.parametrize("same", [True, False])
def test_a_whole_message_without_a_number_says_something_new_only_where_its_levels_do(same: bool) -> None:
    book = VerifiedBook(WholeBooks(), 1)
    assert book.apply_snapshot(Snapshot(TOPIC, None, 1, BIDS[:1], ASKS[:1])).did is Did.OPENED
    again = Snapshot(TOPIC, None, 2, BIDS[:1] if same else [(100.0, 2.0)], ASKS[:1])
    assert book.apply_snapshot(again).did is (Did.MERGED if same else Did.CONTINUED)
    assert book.exchange_ms == 2


@pytest.mark.parametrize(
    ("ids_grow", "last", "sequence", "verdict"),
    [
        (True, 10, 11, Verdict.CONTINUES),
        (True, 10, 99, Verdict.CONTINUES),
        (True, 10, 10, Verdict.REPEATS),
        (True, 10, 9, Verdict.RESTARTS),
        (True, None, 9, Verdict.CONTINUES),
        (True, 10, None, Verdict.UNNUMBERED),
        (False, 10, 11, Verdict.CONTINUES),
        (False, 10, 10, Verdict.CONTINUES),
        (False, 10, 9, Verdict.CONTINUES),
    ],
)
def test_books_that_come_whole_follow_by_their_ids_where_ids_grow(
    ids_grow: bool, last: int | None, sequence: int | None, verdict: Verdict
) -> None:
    rule = WholeBooks(ids_grow=ids_grow)
    assert rule.judge_snapshot(last, Snapshot(TOPIC, sequence, 1, BIDS, ASKS)) is verdict


def test_a_channel_of_whole_books_has_no_deltas() -> None:
    assert WholeBooks().judge_delta(10, delta(11)) is Verdict.BREAKS


def test_what_proves_whole_books_is_the_connection_or_what_their_exchange_says() -> None:
    assert WholeBooks().verification == "connection"
    assert exchange_of("gate").rule("spot", "book.10", {}).verification == "none"


def test_a_snapshot_without_a_number_is_compared_to_the_depth_that_is_kept() -> None:
    deep = [(100.0 - at, 1.0) for at in range(5)], [(101.0 + at, 1.0) for at in range(5)]
    book = VerifiedBook(WholeBooks(), 3)
    assert book.apply_snapshot(Snapshot(TOPIC, None, 1, *deep)).did is Did.OPENED
    assert book.apply_snapshot(Snapshot(TOPIC, None, 2, *deep)).did is Did.MERGED
    assert (len(book.book.bids), len(book.book.asks)) == (3, 3)
