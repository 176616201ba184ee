"""Each committed row is there once, as it was first known, whoever writes, moves days to files, and reads."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from store_plants import PLANTS, PLANTS_OF_SERVERS, Plant
from turns import run, run_one

pytest.importorskip("pyarrow")
FEW, MANY, MANY_ON_A_SERVER = 1, 400, 60
FOUND_WITHIN = 60  # histories


@pytest.mark.parametrize("seed", range(FEW))
def test_a_history_keeps_every_promise(seed: int) -> None:
    run_one(seed)


def test_a_history_of_several_collectors_on_a_server_keeps_every_promise(postgres_url: str) -> None:
    run_one(0, postgres_url, many=True, steps=15)


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_hundreds_of_histories_keep_every_promise() -> None:
    run(range(FEW, MANY), steps=60)


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_dozens_of_histories_on_a_server_keep_every_promise(new_database: Callable[[], str]) -> None:
    run(range(MANY_ON_A_SERVER), new_database)


@pytest.mark.proof
@pytest.mark.timeout(600)
@pytest.mark.parametrize("plant", PLANTS)
def test_a_fault_that_was_there_once_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(Exception) as found:  # noqa: PT011  (whatever the promise that is broken first)
        run(range(FOUND_WITHIN))
    print(found.value, *found.value.__notes__)


@pytest.mark.proof
@pytest.mark.timeout(600)
@pytest.mark.parametrize("plant", PLANTS_OF_SERVERS)
def test_a_fault_that_was_there_once_is_found_on_a_server(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, new_database: Callable[[], str]
) -> None:
    plant(monkeypatch)
    with pytest.raises(Exception) as found:  # noqa: PT011
        run(range(FOUND_WITHIN), new_database)
    print(found.value, *found.value.__notes__)
