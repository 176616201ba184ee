"""Turns are handed out in order, and never more of them than an exchange allows in any span of time."""

from hypothesis import example, given
from hypothesis import strategies as st

from collector.exchanges.exchange import Rate
from collector.network.pacing import ARRIVES_LATE_S, SHARE, Pacer, requests_at_most


class Hand:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def most_within(turns: list[float], span_s: float) -> int:
    return max(sum(start <= turn < start + span_s - 1e-6 for turn in turns) for start in turns)


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=300), st.integers(1, 20), st.floats(0.5, 60.0))
def test_never_more_than_allowed_within_any_span(pauses: list[float], most: int, span_s: float) -> None:
    hand = Hand()
    pacer = Pacer([Rate(most, span_s), Rate(2, 0.1)], hand)
    turns = []
    for pause_s in pauses:
        hand.now_s += pause_s
        turns.append(hand.now_s + pacer.reserve_s())
    assert turns == sorted(turns)
    assert most_within(turns, span_s) <= most
    assert most_within(turns, 0.1) <= 2


def test_less_than_one_a_second_can_be_configured() -> None:
    hand = Hand()
    pacer = Pacer(requests_at_most(Rate(500, 300.0), 0.1), hand)
    assert [pacer.reserve_s() for _ in range(3)] == [0.0, 10.0, 20.0]


@given(st.lists(st.floats(0.0, ARRIVES_LATE_S - 1e-3), min_size=40, max_size=40))
@example([ARRIVES_LATE_S - 1e-3] * 4 + [0.0] * 36)
def test_requests_that_arrive_closer_together_than_they_left_are_few_enough(late_s: list[float]) -> None:
    hand, limit = Hand(), Rate(5, 1.0)
    pacer = Pacer(requests_at_most(limit, 20.0), hand)
    arrived = [hand.now_s + pacer.reserve_s() + by_s for by_s in late_s]
    assert most_within(arrived, limit.span_s) <= limit.most * SHARE
