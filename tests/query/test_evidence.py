"""What blocks of overlapping samples say: against counting all of the ways, and against independent draws."""

from itertools import product

import numpy as np
import pytest

from collector.query.evidence import MOST_BLOCKS, blocks, chance, independent, interval


def test_blocks_are_of_so_many_rows_and_longer_where_there_are_very_many() -> None:
    assert blocks(np.array([7, 8, 9, 10, 16]), 3).tolist() == [0, 0, 0, 1, 3]
    assert blocks(np.array([], dtype=np.int64), 3).tolist() == []
    many = blocks(np.arange(100_000), 3)
    assert len(set(many.tolist())) == MOST_BLOCKS
    assert set(np.bincount(many).tolist()) == {200}


@pytest.mark.parametrize(
    "sums", [[3.0, 1.0, 2.0, 5.0], [3.0, -1.0, 2.0, 0.5, -0.5, 1.0], [1.0, -1.0, 2.0, -2.5], [0.0] * 5]
)
def test_chance_is_the_share_of_all_ways_to_flip_the_signs(sums: list[float]) -> None:
    ways = [np.dot(signs, sums) for signs in product([-1.0, 1.0], repeat=len(sums))]
    share = np.mean([one >= sum(sums) for one in ways])
    gains = np.repeat(sums, 2) / 2  # two samples a block
    found = chance(gains, np.repeat([9, 3, 4, 1, 0, 7][: len(sums)], 2))
    assert found == pytest.approx(share, abs=0.03)


def test_the_same_thing_said_again_is_no_evidence() -> None:
    """Eight samples that all gain are little where they are four blocks, and nothing where they are one."""
    assert chance(np.ones(8), np.arange(8)) < 0.01
    assert chance(np.ones(8), np.repeat(np.arange(4), 2)) > 0.05
    assert chance(np.ones(8), np.zeros(8, dtype=np.int64)) > 0.4
    assert chance(np.array([]), np.array([], dtype=np.int64)) == 1.0


def test_blocks_that_resemble_their_neighbours_are_joined() -> None:
    drawn = np.random.default_rng(5)
    news = drawn.standard_normal(64)
    block = np.repeat(np.arange(256), 3)
    joined = independent(np.repeat(np.repeat(news, 4), 3), block)  # four blocks say the same, then comes news
    assert len(set(joined.tolist())) <= 64
    assert (np.diff(joined) >= 0).all()
    turns = np.tile([1.0, -1.0], 128)
    assert independent(np.repeat(turns, 3), block).tolist() == block.tolist()
    assert independent(np.ones(6), np.arange(6)).tolist() == list(range(6))  # of so few it cannot be said
    assert independent(np.array([]), np.array([], dtype=np.int64)).tolist() == []


def test_the_interval_holds_the_mean_about_as_often_as_it_says() -> None:
    """Each of 40 draws is told five times: an interval over all 200 samples would be right half as often."""
    drawn = np.random.default_rng(1)
    block, alone = np.repeat(np.arange(40), 5), np.arange(200)
    held = {"blocks": 0, "alone": 0}
    for _ in range(40):
        values = np.repeat(drawn.normal(7.0, 2.0, 40), 5)
        for name, of in (("blocks", block), ("alone", alone)):
            low, high = interval(values, of)
            held[name] += low <= 7.0 <= high
    assert held["blocks"] > 34
    assert held["alone"] < 30
    assert np.isnan(interval(np.array([1.0, 2.0]), np.array([3, 3]))).all()
