"""A refresh of a bridged book loses nothing of the stream, wherever REST stood when it answered."""

import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.book.bridged import BridgedBook
from collector.book.verified import BookState, Did
from collector.events.messages import Delta, Snapshot
from collector.exchanges.binance.rule import SpotContinuity, UsdmContinuity

TOPIC = "btcusdt@depth"
DEPTH = 8
Sides = tuple[dict[float, float], dict[float, float]]


@dataclass
class Market:
    """The true book, an update at a time; its events put several together, REST stands at any of them."""

    seed: int
    futures: bool = False  # ids of other markets lie between events, and REST stands at an event's end
    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)
    number: int = 100
    last_event: int = 100
    states: dict[int, Sides] = field(default_factory=dict)  # by the number of the update

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for step in range(1, 40):
            self.bids[1000.0 - step] = 1.0
            self.asks[1000.0 + step] = 1.0
        self.states[self.number] = dict(self.bids), dict(self.asks)

    def event(self, stop_at: int | None = None) -> tuple[Delta, list[Snapshot]]:
        """Make some updates; returns them put together, and what REST would say after each.

        An event has every level that was touched, one that is again as it was before as well: so it joins
        a snapshot that stands in the middle of it, as Binance documents.
        """
        if self.futures:
            self.number += self.random.randint(0, 3)
        first, answers = self.number + 1, []
        self.touched: Sides = {}, {}
        count = self.random.randint(1, 4) if stop_at is None else stop_at
        for _ in range(count):
            self._update()
            answers.append(self.rest())
        bids, asks = (sorted(side.items()) for side in self.touched)
        previous = self.last_event if self.futures else None
        self.last_event = self.number
        delta = Delta(TOPIC, self.number, self.number, bids, asks, first, previous)
        return delta, answers[-1:] if self.futures else answers

    def rest(self) -> Snapshot:
        bids = sorted(self.bids.items(), reverse=True)[:DEPTH]
        return Snapshot(TOPIC, self.number, None, bids, sorted(self.asks.items())[:DEPTH])

    def _update(self) -> None:
        self.number += 1
        if self.random.random() < 0.5:
            side, away, best, limit = self.bids, -1, max(self.bids), min(self.asks)
        else:
            side, away, best, limit = self.asks, 1, min(self.asks), max(self.bids)
        touched = self.touched[0 if away < 0 else 1]
        price = best + away * self.random.randint(-2, 4)
        if (price - limit) * away <= 0:
            price = best
        if price in side and len(side) > 12 and self.random.random() < 0.5:
            del side[price]
        else:
            side[price] = float(self.random.randint(1, 9))
        touched[price] = side.get(price, 0.0)
        self.states[self.number] = dict(self.bids), dict(self.asks)


def assert_true(book: BridgedBook, market: Market) -> None:
    """What the book claims to know is the market's state at the book's own number, level by level."""
    assert book.last_sequence is not None
    bids, asks = market.states[book.last_sequence]
    known = book.known_levels(DEPTH)
    assert known > 0
    top = book.book.top(known)
    best_bids, best_asks = sorted(bids, reverse=True)[:known], sorted(asks)[:known]
    assert top[: len(best_bids)] == best_bids
    assert top[known : known + len(best_bids)] == [bids[price] for price in best_bids]
    assert top[2 * known : 2 * known + len(best_asks)] == best_asks
    assert top[3 * known : 3 * known + len(best_asks)] == [asks[price] for price in best_asks]


RULES = {False: SpotContinuity, True: UsdmContinuity}
STEPS = st.lists(st.sampled_from(["happens", "heard", "asked", "answered"]), max_size=80)


@given(st.integers(0, 10**6), st.booleans(), STEPS)
def test_every_event_after_the_first_snapshot_is_a_row_and_what_is_known_is_true(
    seed: int, futures: bool, steps: list[str]
) -> None:
    """Events are heard late, REST is asked at any time and answers late, before or behind the stream."""
    market = Market(seed, futures)
    book = BridgedBook(RULES[futures](), DEPTH)
    first, _ = market.event()
    book.apply_delta(first)
    taken = market.rest()
    assert book.apply_snapshot(taken).did is Did.OPENED
    under_way: deque[Delta] = deque()
    answers: deque[Snapshot] = deque()
    choose, newest = random.Random(seed), market.rest()
    for step in [*steps, *["heard"] * 400]:
        if step == "happens":
            delta, within = market.event()
            under_way.append(delta)
            newest = choose.choice(within)
        elif step == "asked" and not answers:
            book.fetching += 1
            answers.append(newest)
        elif step == "answered" and answers:
            outcome = book.apply_snapshot(answers.popleft())
            book.fetching -= 1
            assert (outcome.did, outcome.reason) in {
                (Did.MERGED, ""),
                (Did.AWAITED, ""),
                (Did.AWAITED, "another waits"),
                (Did.REJECTED, "stale_snapshot"),  # asked for before the stream had reached where it was
            }
            assert book.state is BookState.SYNCED
        elif step == "heard" and under_way:
            delta = under_way.popleft()
            outcome = book.apply_delta(delta)
            if outcome.did is Did.BROKE:
                assert outcome.reason == "edge"
                assert book.known_levels(1) <= 1
                return
            assert outcome.did is Did.CONTINUED
            assert book.last_sequence == delta.sequence
        assert_true(book, market)
    assert not book.awaits_the_stream or market.number < (newest.sequence or 0)


def opened(futures: bool = False) -> tuple[Market, BridgedBook]:
    market = Market(1, futures)
    book = BridgedBook(RULES[futures](), DEPTH)
    first, _ = market.event()
    book.apply_delta(first)
    assert book.apply_snapshot(market.rest()).did is Did.OPENED
    joined, _ = market.event()
    assert book.apply_delta(joined).did is Did.CONTINUED
    return market, book


def outcomes(book: BridgedBook, *deltas: Delta) -> list[tuple[Did, str]]:
    return [(one.did, one.reason) for one in map(book.apply_delta, deltas)]


@pytest.mark.parametrize("futures", [False, True])
def test_a_refresh_ahead_of_the_stream_is_taken_in_when_the_stream_stands_there(futures: bool) -> None:
    market, book = opened(futures)
    first, second = market.event()[0], market.event()[0]
    ahead = market.rest()
    third = market.event()[0]
    assert book.apply_snapshot(ahead).did is Did.AWAITED
    assert book.awaits_the_stream
    assert book._bid_edge < ahead.bids[-1][0]  # not before
    assert outcomes(book, first) == [(Did.CONTINUED, "")]
    assert outcomes(book, second, third) == [(Did.CONTINUED, "met"), (Did.CONTINUED, "")]
    assert book._bid_edge == ahead.bids[-1][0]
    assert not book.awaits_the_stream
    assert_true(book, market)


def test_a_refresh_within_an_event_of_spot_is_taken_in_with_the_rest_of_that_event() -> None:
    market, book = opened()
    delta, within = market.event(4)
    assert (delta.first_sequence or 0) < (within[1].sequence or 0) < (delta.sequence or 0)
    assert book.apply_snapshot(within[1]).did is Did.AWAITED
    assert outcomes(book, delta) == [(Did.CONTINUED, "met")]
    assert_true(book, market)


def test_a_refresh_that_stands_between_two_events_of_futures_cannot_be_met() -> None:
    _, book = opened(True)
    assert book.last_sequence is not None
    last = book.last_sequence
    levels = [(999.0, 1.0)], [(1001.0, 1.0)]
    assert book.apply_snapshot(Snapshot(TOPIC, last + 5, 1, *levels)).did is Did.AWAITED
    passing = Delta(TOPIC, last + 9, 1, [(990.0, 5.0)], [], last + 7, last)
    outcome = book.apply_delta(passing)
    assert (outcome.did, outcome.reason) == (Did.BROKE, "edge")
    assert str(last + 5) in outcome.detail
    assert not book.awaits_the_stream


def test_a_refresh_that_contradicts_the_stream_once_met_is_a_witness_against_the_book() -> None:
    market, book = opened()
    delta = market.event()[0]
    said = market.rest()
    wrong = Snapshot(TOPIC, said.sequence, None, [(said.bids[0][0], 777.0), *said.bids[1:]], said.asks)
    assert book.apply_snapshot(wrong).did is Did.AWAITED
    assert outcomes(book, delta) == [(Did.BROKE, "witness")]
    assert book.state is BookState.RESYNCING


def test_a_book_that_waits_for_the_stream_asks_for_no_other_snapshot_and_keeps_the_one_it_has() -> None:
    market, book = opened()
    while not book.needs_snapshot:
        book.apply_delta(market.event()[0])
        if book.state is not BookState.SYNCED:
            pytest.fail("the price left the snapshot at once: another seed is needed")
    first = market.event()[0]
    nearer = market.rest()
    second = market.event()[0]
    farther = market.rest()
    assert [book.apply_snapshot(one).did for one in (nearer, farther)] == [Did.AWAITED, Did.AWAITED]
    assert not book.needs_snapshot
    assert outcomes(book, first, second) == [(Did.CONTINUED, "met"), (Did.CONTINUED, "")]


def test_a_book_that_breaks_or_is_forgotten_waits_no_longer() -> None:
    market, book = opened()
    market.event()
    book.apply_snapshot(market.rest())
    assert outcomes(book, market.event()[0]) == [(Did.BROKE, "sequence_gap")]
    assert not book.awaits_the_stream
    market, book = opened()
    market.event()
    book.apply_snapshot(market.rest())
    book.reset()
    assert not book.awaits_the_stream
