"""Which markets are those traded most: the rule that keeps them from coming and going."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.live.universe import most_traded


def volumes(*symbols: str) -> dict[str, float]:
    """Return volumes by which these markets have this order."""
    return {symbol: float(len(symbols) - place) for place, symbol in enumerate(symbols)}


@pytest.mark.parametrize(
    ("order", "members", "chosen"),
    [
        ("abcdefgh", "", "abcde"),  # nobody is in yet
        ("abcdfegh", "abcde", "abcde"),  # a place behind the last one: it stays
        ("abcdfgeh", "abcde", "abcdf"),  # two places: it leaves
        ("abcfdegh", "abcde", "abcfd"),  # who comes in before the last place takes it from the last
        ("ghfbacde", "abcde", "ghfba"),
        ("abc", "abcde", "deabc"),  # of two nothing is told
        ("cab", "", "cab"),  # there are no more
    ],
)
def test_a_market_comes_and_goes_by_more_than_a_place(order: str, members: str, chosen: str) -> None:
    assert "".join(most_traded(volumes(*order), members, 5)) == chosen


def test_the_first_alone_gives_way_to_who_passes_it_by_two() -> None:
    assert most_traded(volumes("b", "a", "c"), ["a"], 1) == ["a"]
    assert most_traded(volumes("b", "c", "a"), ["a"], 1) == ["b"]


MANY = st.lists(st.sampled_from("abcdefghijklmnop"), unique=True)
ORDERS = st.permutations("abcdefghijklmnop")


@given(ORDERS, MANY, st.integers(1, 12))
def test_there_are_always_as_many_as_there_are_places_and_looking_again_changes_nothing(
    order: list[str], members: list[str], top: int
) -> None:
    told = volumes(*order)
    chosen = most_traded(told, members, top)
    assert len(chosen) == len(set(chosen)) == top
    assert most_traded(told, chosen, top) == chosen
    margin = max(1, math.ceil(top / 5))
    rank = {symbol: place for place, symbol in enumerate(order, 1)}
    assert {symbol for symbol in order if rank[symbol] <= top - margin} <= set(chosen)
    assert all(rank[symbol] <= top + margin for symbol in chosen)


@given(ORDERS, st.integers(0, 14), st.integers(2, 12))
def test_two_neighbours_that_change_their_places_change_nothing(
    order: list[str], place: int, top: int
) -> None:
    chosen = most_traded(volumes(*order), (), top)
    order[place], order[place + 1] = order[place + 1], order[place]
    assert set(most_traded(volumes(*order), chosen, top)) == set(chosen)
