"""Nothing is lost, doubled, reordered or miscounted in any order of updates, faults, kills and restarts."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

sys.path.insert(0, str(Path(__file__).parent))
from histories import run
from planted import PLANTS, Plant

FEW, MANY = 150, 4_000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Say nothing of thousands of faults."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def test_some_hundred_histories_keep_every_promise() -> None:
    run(FEW)


@pytest.mark.proof
def test_thousands_of_histories_keep_every_promise() -> None:
    run(MANY, steps=60)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(Exception):  # noqa: B017, PT011  (whatever the promise that is broken first)
        run(MANY)
