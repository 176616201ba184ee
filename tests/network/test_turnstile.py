"""Dials are begun in turn, and never arrive more often than an exchange allows in any span of time."""

import heapq
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.exchanges.exchange import Rate
from collector.exchanges.registry import EXCHANGES
from collector.network.pacing import SHARE, at_most
from collector.network.turnstile import Turnstile

ROUNDING_S = 1e-6


class World:
    """Connections that dial over and over on a simulated clock."""

    def __init__(self, allowed: Rate, wanted: Rate) -> None:
        self.now_s = 100.0
        self.turnstile = Turnstile(allowed, wanted, lambda: self.now_s)
        self.began: list[float] = []
        self.arrived: list[float] = []

    def run(self, dials: dict[int, Iterator[tuple[float, float]]], until_s: float = 1e9) -> None:
        """Let each connection dial with these times: from begin to arrival, and from there to the answer."""
        order = itertools.count()
        turns = {number: self.turnstile.take_turn() for number in dials}
        due = [(self.now_s, next(order), number, False) for number in dials]
        heapq.heapify(due)
        ways: dict[int, tuple[float, float]] = {}
        while due and due[0][0] < until_s:
            self.now_s, _, number, is_answer = heapq.heappop(due)
            if is_answer:
                self.turnstile.end(turns[number])
                turns[number] = self.turnstile.take_turn()
                heapq.heappush(due, (self.now_s, next(order), number, False))
                continue
            wait_s = self.turnstile.begin_s(turns[number])
            if wait_s > 0:
                heapq.heappush(due, (self.now_s + wait_s, next(order), number, False))
                continue
            way = next(dials[number], None)
            if way is None:
                self.turnstile.end(turns[number])
                continue
            ways[number] = way
            self.began.append(self.now_s)
            self.arrived.append(self.now_s + way[0])
            heapq.heappush(due, (self.now_s + sum(way), next(order), number, True))


def most_within(times: list[float], span_s: float) -> int:
    times = sorted(times)
    first = most = 0
    for last, time in enumerate(times):
        while time >= times[first] + span_s - ROUNDING_S:
            first += 1
        most = max(most, last + 1 - first)
    return most


ways = st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 5.0))


@given(
    st.lists(st.lists(ways, min_size=1, max_size=8), min_size=1, max_size=12),
    st.integers(1, 10),
    st.floats(0.5, 20.0),
)
def test_however_long_dials_are_on_their_way(
    dials: list[list[tuple[float, float]]], most: int, span_s: float
) -> None:
    world = World(Rate(most, span_s), Rate(3, 1.0))
    world.run({number: iter(each) for number, each in enumerate(dials)})
    assert len(world.arrived) == sum(map(len, dials))
    assert most_within(world.arrived, span_s) <= most
    assert most_within(world.began, 1.0) <= 3


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_an_hour_of_twenty_connections_that_are_cut_at_once_stays_within_the_limit(exchange: str) -> None:
    limit = EXCHANGES[exchange].limits.connects
    world = World(*at_most(limit, 5.0))
    world.run({number: itertools.repeat((0.05, 0.05)) for number in range(20)}, until_s=3700.0)
    assert most_within(world.arrived, limit.span_s) <= limit.most * SHARE
    assert most_within(world.began, 1.0) <= 5
    places = int(limit.most * SHARE)
    assert len(world.arrived) > 0.9 * places * 3600 / (limit.span_s + 0.1)  # and none of it is wasted


def test_a_closed_door_lets_nobody_go_before_its_time() -> None:
    now_s = 100.0
    turnstile = Turnstile(Rate(5, 1.0), Rate(5, 1.0), lambda: now_s)
    assert (turnstile.begin_s(turnstile.take_turn()), turnstile.closed_for_s) == (0.0, 0.0)
    turnstile.close_for(30.0)
    turnstile.close_for(10.0)
    now_s += 1.0
    waiting = turnstile.take_turn()
    assert (turnstile.begin_s(waiting), turnstile.closed_for_s) == (29.0, 29.0)
    now_s += 30.0
    assert (turnstile.begin_s(waiting), turnstile.closed_for_s) == (0.0, 0.0)


def test_turns_taken_before_a_pause_are_begun_at_the_usual_pace_when_it_is_over() -> None:
    """A 429 comes while others wait for their turn: they must not all go at the moment that it ends."""
    world = World(Rate(100, 10.0), Rate(5, 1.0))
    world.turnstile.close_for(30.0)
    world.run({number: iter([(0.1, 0.1)]) for number in range(20)})
    assert len(world.began) == 20
    assert min(world.began) == 130.0
    assert most_within(world.began, 1.0) == 5
    assert max(world.began) == 133.0


def test_one_who_stops_waiting_gives_up_his_place_alone() -> None:
    now_s = 100.0
    turnstile = Turnstile(Rate(1, 10.0), Rate(9, 1.0), lambda: now_s)
    first, stopped, last = (turnstile.take_turn() for _ in range(3))
    assert turnstile.begin_s(first) == 0.0
    turnstile.end(stopped)
    now_s = 105.0
    turnstile.end(first)
    now_s = 110.0  # the limit's time after `stopped` gave up, not after the answer to `first`
    assert turnstile.begin_s(last) == 5.0
    now_s = 115.0
    assert turnstile.begin_s(last) == 0.0


def test_turns_come_in_order() -> None:
    now_s = 100.0
    turnstile = Turnstile(Rate(9, 1.0), Rate(2, 1.0), lambda: now_s)
    turns = [turnstile.take_turn() for _ in range(6)]
    assert [turnstile.begin_s(turn) for turn in reversed(turns)] == [2.0, 2.0, 1.0, 1.0, 0.0, 0.0]
    now_s = 101.0
    assert turnstile.begin_s(turns[4]) > 0.0
    assert [turnstile.begin_s(turn) for turn in turns[2:4]] == [0.0, 0.0]
