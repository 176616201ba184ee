"""A book opened by REST joins its stream exactly, and never claims what it has not seen."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.book.bridged import BridgedBook
from collector.book.verified import BookState, Did
from collector.events.messages import Delta, Levels, Snapshot
from collector.exchanges.binance.rule import SpotContinuity, UsdmContinuity

TOPIC = "btcusdt@depth"
DEPTH = 20


@dataclass
class Exchange:
    """The true book, its diff stream, and its REST snapshots of the best levels."""

    seed: int
    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)
    sequence: int = 100

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.mid = 1000
        for step in range(1, 60):
            self.bids[float(self.mid - step)] = 1.0
            self.asks[float(self.mid + step)] = 1.0

    def diff(self) -> Delta:
        """Change some levels near the touch, sometimes moving it; far levels rest and are never mentioned."""
        bids, asks = dict(self.bids), dict(self.asks)
        for _ in range(self.random.randint(1, 4)):
            self._change(self.bids, self.asks, max(self.bids), -1)
            self._change(self.asks, self.bids, min(self.asks), 1)
        first = self.sequence + 1
        self.sequence += self.random.randint(1, 3)
        return Delta(
            TOPIC, self.sequence, 1, changes(bids, self.bids), changes(asks, self.asks), first_sequence=first
        )

    def _change(self, side: dict[float, float], other: dict[float, float], best: float, away: int) -> None:
        price = best + away * self.random.randint(-1, 5)
        if away * (price - (max(other) if away > 0 else min(other))) <= 0:
            return
        if price in side and len(side) > 5 and self.random.random() < 0.6:
            del side[price]
        else:
            side[price] = float(self.random.randint(1, 9))

    def snapshot(self) -> Snapshot:
        bids = sorted(self.bids.items(), reverse=True)[:DEPTH]
        return Snapshot(TOPIC, self.sequence, None, bids, sorted(self.asks.items())[:DEPTH])


def changes(before: dict[float, float], after: dict[float, float]) -> Levels:
    prices = sorted({*before, *after})
    return [(price, after.get(price, 0.0)) for price in prices if before.get(price) != after.get(price)]


def agrees(book: BridgedBook, exchange: Exchange) -> bool:
    """Compare what the book claims to know, level by level from the best."""
    known = [levels for levels in range(1, DEPTH + 1) if book.knows(levels)]
    assert [book.known_levels(most) for most in (3, DEPTH, 99)] == [
        max([one for one in known if one <= most], default=0) for most in (3, DEPTH, DEPTH)
    ]
    for levels in range(1, DEPTH + 1):
        if not book.knows(levels):
            return levels > 1
        top = book.book.top(levels)
        bids = sorted(exchange.bids, reverse=True)[:levels]
        asks = sorted(exchange.asks)[:levels]
        if len(bids) == levels == len(asks) and (
            top[:levels] != bids or top[2 * levels : 3 * levels] != asks
        ):
            return False
    return True


@given(st.integers(0, 10**6), st.integers(0, 15), st.integers(0, 15), st.integers(0, 3))
def test_what_it_claims_to_know_is_the_truth(seed: int, before: int, after: int, late: int) -> None:
    exchange, book = Exchange(seed), BridgedBook(SpotContinuity(), DEPTH)
    for _ in range(before):
        assert book.apply_delta(exchange.diff()).reason == "unsynced"
    taken = exchange.snapshot()
    on_the_way = [
        exchange.diff() for _ in range(late)
    ]  # sent after the snapshot was taken, before it arrived
    for delta in on_the_way:
        book.apply_delta(delta)
    assert book.apply_snapshot(taken).did is Did.OPENED
    assert agrees(book, exchange)
    for _ in range(after):
        outcome = book.apply_delta(exchange.diff())
        if outcome.did is Did.BROKE:
            assert outcome.reason == "edge"
            return
        assert outcome.did is Did.CONTINUED
        assert agrees(book, exchange)
        if book.needs_snapshot:
            book.fetching = True
            taken = exchange.snapshot()
            moved = exchange.diff()
            assert book.apply_delta(moved).did in {Did.CONTINUED, Did.BROKE}
            if book.state is not BookState.SYNCED:
                return
            assert book.apply_snapshot(taken).did is Did.MERGED
            book.fetching = False
            assert agrees(book, exchange)


def synced(seed: int = 1) -> tuple[Exchange, BridgedBook]:
    exchange, book = Exchange(seed), BridgedBook(SpotContinuity(), DEPTH)
    book.apply_delta(exchange.diff())
    book.apply_snapshot(exchange.snapshot())
    book.apply_delta(exchange.diff())
    return exchange, book


def test_a_snapshot_older_than_the_stream_is_fetched_again() -> None:
    exchange, book = Exchange(1), BridgedBook(SpotContinuity(), DEPTH)
    stale = exchange.snapshot()
    exchange.diff()  # not seen: the stream was joined after it
    book.apply_delta(exchange.diff())
    outcome = book.apply_snapshot(stale)
    assert (outcome.did, outcome.reason) == (Did.REJECTED, "stale_snapshot")
    assert book.apply_snapshot(exchange.snapshot()).did is Did.OPENED


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_diff_breaks_the_book(lost: int) -> None:
    exchange, book = synced()
    for _ in range(lost):
        exchange.diff()
    outcome = book.apply_delta(exchange.diff())
    assert (outcome.did, outcome.reason) == (Did.BROKE, "sequence_gap")


def test_a_hidden_level_beyond_the_edge_never_becomes_the_best_unseen() -> None:
    """The real case: the price falls below the snapshot's edge onto bids that rested there all the time."""
    exchange, book = synced()
    asked_before_it_broke = False
    for price in sorted(exchange.bids, reverse=True)[:-5]:
        del exchange.bids[price]
        exchange.sequence += 1
        removed = Delta(TOPIC, exchange.sequence, 1, [(price, 0.0)], [], first_sequence=exchange.sequence)
        outcome = book.apply_delta(removed)
        if outcome.did is Did.BROKE:
            break
        asked_before_it_broke = book.needs_snapshot
        assert book.book.top(1)[0] == max(exchange.bids)
    assert (outcome.did, outcome.reason) == (Did.BROKE, "edge")
    assert asked_before_it_broke
    book.apply_snapshot(exchange.snapshot())
    assert book.book.top(1)[0] == max(exchange.bids)


def test_a_refresh_that_contradicts_the_book_is_a_witness_against_it() -> None:
    exchange, book = synced()
    other = exchange.snapshot()
    wrong = Snapshot(TOPIC, other.sequence, None, [(other.bids[0][0], 777.0), *other.bids[1:]], other.asks)
    outcome = book.apply_snapshot(wrong)
    assert (outcome.did, outcome.reason) == (Did.BROKE, "witness")


def test_a_refresh_of_the_same_moment_says_nothing_new() -> None:
    exchange, book = synced()
    assert book.apply_snapshot(exchange.snapshot()).did is Did.MERGED


def test_the_update_that_the_snapshot_stood_at_gives_no_second_row() -> None:
    book = BridgedBook(UsdmContinuity(), DEPTH)
    levels = [(99.0, 1.0)], [(101.0, 1.0)]
    assert book.apply_snapshot(Snapshot(TOPIC, 10, 1, *levels)).did is Did.OPENED
    joining = Delta(TOPIC, 10, 1, *levels, first_sequence=8, previous_sequence=7)
    assert book.apply_delta(joining).did is Did.MERGED
    following = Delta(TOPIC, 13, 1, [(99.0, 2.0)], [], first_sequence=12, previous_sequence=10)
    assert book.apply_delta(following).did is Did.CONTINUED


def test_a_delta_that_broke_the_book_needs_a_snapshot_beyond_it() -> None:
    exchange, book = synced()
    before = exchange.snapshot()
    exchange.sequence += 1
    poison = Delta(TOPIC, exchange.sequence, 1, [(float("nan"), 1.0)], [], first_sequence=exchange.sequence)
    assert book.apply_delta(poison).did is Did.BROKE
    assert book.apply_snapshot(before).did is Did.REJECTED
    assert book.apply_snapshot(exchange.snapshot()).did is Did.OPENED
    assert book.apply_delta(exchange.diff()).did is Did.CONTINUED


def test_a_book_far_from_its_edges_needs_no_snapshot() -> None:
    _, book = synced()
    assert book.knows(DEPTH // 4)
    assert not book.needs_snapshot


def test_nothing_is_kept_for_a_snapshot_once_the_book_is_synced_and_none_is_under_way() -> None:
    exchange, book = synced()
    for _ in range(20):
        book.apply_delta(exchange.diff())
    assert not book._recent
    book.fetching = 1
    for _ in range(3):
        book.apply_delta(exchange.diff())
    assert len(book._recent) == 3


@pytest.mark.parametrize("is_synced", [False, True])
def test_a_snapshot_without_a_level_is_refused_and_the_book_stands_as_it_stood(is_synced: bool) -> None:
    exchange, book = synced() if is_synced else (Exchange(1), BridgedBook(SpotContinuity(), DEPTH))
    before = book.state, book.last_sequence, book.book.top(DEPTH)
    for sequence in (exchange.sequence, exchange.sequence + 5):
        empty = Snapshot(TOPIC, sequence, None, [], [])
        outcome = book.apply_snapshot(empty)
        assert (outcome.did, outcome.reason) == (Did.REJECTED, "empty")
        assert book.compare(empty) is None
    assert str((book.state, book.last_sequence, book.book.top(DEPTH))) == str(before)
    assert book.apply_snapshot(exchange.snapshot()).did is (Did.MERGED if is_synced else Did.OPENED)
