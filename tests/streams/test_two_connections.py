"""While one connection replaces another nothing vanishes, whoever is ahead and whoever dies."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from two_connections import Kind, play

KINDS = ["book.50", "book.25", "trade", "trade.ids", "ohlcv.1m"]


@pytest.mark.parametrize("name", KINDS)
def test_what_two_connections_bring_is_stored_once_or_counted(name: str) -> None:
    for seed in range(100):
        world = play(Kind(name), seed)
        try:
            world.check()
        except AssertionError as error:
            raise AssertionError(f"{name}, seed {seed}: {error}") from error


@pytest.mark.parametrize("name", KINDS)
def test_nothing_vanishes_where_the_clock_steps_while_one_replaces_another(name: str) -> None:
    ended = 0
    for seed in range(20):
        world = play(Kind(name), seed, steps=0.05)
        try:
            world.check()
        except AssertionError as error:
            raise AssertionError(f"{name}, seed {seed}: {error}") from error
        ended += sum(one.cause == "clock_step" for batch in world.batches for one in batch.closed)
    assert ended > 20
