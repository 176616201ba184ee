"""The request budget: no storm, no starving, and the exchange's word counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.network.pacing import GROWS_AFTER_S, WEIGHT_SHARE, Budget


class Hand:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_full_bucket_is_spent_at_once_and_then_refills_steadily() -> None:
    hand = Hand()
    budget = Budget(6000.0, hand)
    for _ in range(30):  # a quarter of a minute's limit
        assert budget.wait_s(50.0) == 0.0
        budget._left -= 50.0
    assert budget.wait_s(50.0) == 50.0 / (6000.0 * WEIGHT_SHARE / 60.0)
    hand.now_s += 1.0
    assert budget.wait_s(50.0) == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(1.0, 300.0)), max_size=60))
def test_never_more_than_the_share_within_any_minute(asks: list[tuple[float, float]]) -> None:
    hand = Hand()
    budget = Budget(6000.0, hand)
    spent: list[tuple[float, float]] = []
    for pause_s, weight in asks:
        hand.now_s += pause_s
        hand.now_s += budget.wait_s(weight) + 1e-9
        budget.wait_s(weight)
        budget._left -= weight
        spent.append((hand.now_s, weight))
    for at_s, _ in spent:
        within = sum(weight for other_s, weight in spent if at_s - 60.0 < other_s <= at_s)
        assert within <= 6000.0


def test_what_the_exchange_reports_counts_more_than_our_own_count() -> None:
    hand = Hand()
    budget = Budget(6000.0, hand)
    budget.used(5900.0)
    assert budget.wait_s(100.0) > 0.0


def test_a_refusal_closes_the_door_for_as_long_as_asked() -> None:
    hand = Hand()
    budget = Budget(6000.0, hand)
    assert budget.refused(7.0) == 7.0
    assert budget.wait_s(1.0) == 7.0
    assert budget.refused(None) == 60.0
    hand.now_s += 61.0
    assert budget.wait_s(1.0) == 0.0


def test_requests_refused_together_are_one_refusal() -> None:
    hand = Hand()
    budget, other = Budget(6000.0, hand), Budget(6000.0, hand)
    for _ in range(4):
        budget.refused(7.0)
    other.refused(7.0)
    hand.now_s += 8.0
    for each in (budget, other):
        each._left, each._counted_s = 0.0, hand.now_s
    assert budget.wait_s(50.0) == other.wait_s(50.0) == 50.0 / (6000.0 * WEIGHT_SHARE / 2.0 / 60.0)


def test_it_tells_for_how_long_it_is_closed() -> None:
    hand = Hand()
    budget = Budget(6000.0, hand)
    assert budget.closed_for_s == 0.0
    budget.refused(7.0)
    hand.now_s += 3.0
    assert budget.closed_for_s == 4.0
    hand.now_s += 5.0
    assert budget.closed_for_s == 0.0


def test_each_refusal_halves_what_is_asked_for_and_a_long_peace_gives_it_back() -> None:
    hand = Hand()
    budget = Budget(6000.0, hand)

    def a_minute() -> float:
        budget._left = 0.0
        budget._counted_s = hand.now_s
        return 60.0 / budget.wait_s(1.0)

    whole = a_minute()
    for refusals, share in ((1, 2.0), (2, 4.0), (3, 8.0), (4, 8.0)):
        budget.refused(1.0)
        hand.now_s += 2.0
        assert a_minute() == pytest.approx(whole / share), refusals
    for share in (4.0, 2.0, 1.0, 1.0):
        hand.now_s += GROWS_AFTER_S + 1.0
        budget.wait_s(1.0)
        assert a_minute() == pytest.approx(whole / share)


def test_the_share_in_use_is_told_without_a_change() -> None:
    hand = Hand()
    budget = Budget(6000.0, hand)
    full = 6000.0 * WEIGHT_SHARE / 2.0
    assert budget.used_share == 0.0
    budget.take(full / 4)
    assert budget.used_share == budget.used_share == 0.25
    hand.now_s += 7.5  # an eighth of a minute refills a quarter of the bucket
    assert budget.used_share == 0.0
    budget.take(2 * full)
    assert budget.used_share == 1.0
    hand.now_s += 1000.0
    assert budget.wait_s(0.0) == budget.used_share == 0.0
    budget.refused(10.0)
    assert budget.used_share == 1.0
