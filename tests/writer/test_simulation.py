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

FEW, MANY = 25, 4_000
FOUND_LATE = (
    "another_id_at_each_try",
    "what_a_damaged_spool_has_lost_is_not_counted",
    "another_id_in_the_spool",
    "what_the_writer_holds_stays_in_memory",
    "what_came_again_is_counted_as_written",
    "dropped_when_the_spool_is_full",
    "live_before_what_is_on_its_way_to_the_spool",
    "what_the_last_session_had_written_is_carried_in",
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Say nothing of thousands of faults."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def test_some_histories_keep_every_promise() -> None:
    run(FEW)


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_thousands_of_histories_keep_every_promise() -> None:
    run(MANY, steps=60)


def plants() -> Iterator[object]:
    """Each planted fault; those that take hundreds of histories to be found under proof."""
    for plant in PLANTS:
        marks = (pytest.mark.proof,) if plant.__name__ in FOUND_LATE else ()
        yield pytest.param(plant, id=plant.__name__, marks=marks)


@pytest.mark.parametrize("plant", list(plants()))
def test_a_planted_fault_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(Exception):  # noqa: B017, PT011  (whatever the promise that is broken first)
        run(MANY)
