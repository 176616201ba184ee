"""Turns are handed out in order, and never more of them than an exchange allows in any span of time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.exchanges.limits import Rate
from collector.exchanges.protocol import EXCHANGES
from collector.stream.pacer import SHARE, Pacer, at_most


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


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_an_hour_of_twenty_connections_that_are_cut_at_once_stays_within_the_limit(exchange: str) -> None:
    limit = EXCHANGES[exchange].limits.connects
    hand = Hand()
    pacer = Pacer(at_most(limit, 5.0), hand)
    turns: list[float] = []
    while hand.now_s < 3700.0:
        each = [hand.now_s + pacer.reserve_s() for _ in range(20)]  # all of them dial again together
        turns.extend(each)
        hand.now_s = max(each)
    assert most_within(turns, limit.span_s) <= limit.most * SHARE
    assert most_within(turns, 1.0) <= 5
    assert len(turns) > 0.9 * SHARE * limit.most * 3600 / limit.span_s  # and none of it is wasted


def test_a_closed_door_lets_nobody_go_before_its_time() -> None:
    hand = Hand()
    pacer = Pacer([Rate(5, 1.0)], hand)
    assert (pacer.reserve_s(), pacer.closed_for_s) == (0.0, 0.0)
    pacer.close_for(30.0)
    pacer.close_for(10.0)
    hand.now_s += 1.0
    assert (pacer.reserve_s(), pacer.closed_for_s) == (29.0, 29.0)
    hand.now_s += 30.0
    assert (pacer.reserve_s(), pacer.closed_for_s) == (0.0, 0.0)


def test_less_than_one_a_second_can_be_configured() -> None:
    hand = Hand()
    pacer = Pacer(at_most(Rate(500, 300.0), 0.1), hand)
    assert [pacer.reserve_s() for _ in range(3)] == [0.0, 10.0, 20.0]
