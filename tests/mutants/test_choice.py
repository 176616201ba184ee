"""Chance with a seed: the same faults each time, as many of each folder as its weight says."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from planting.choice import all_plants, choose, weights_of
from planting.folders import files_of_tests, folder_of, folder_of_tests, modules

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (
    "def f(a, b):\n" + "".join(f"    a.x{number} = b < {number}\n" for number in range(60)) + "    return a\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("sinks", "stream", "book", "simulator"):
        (tmp_path / "collector" / folder).mkdir(parents=True)
        (tmp_path / "collector" / folder / "one.py").write_text(SOURCE)
    (tmp_path / "collector" / "loose.py").write_text("LIMIT = 5\n")
    return tmp_path


def test_the_same_seed_plants_the_same_and_another_one_others(project: Path) -> None:
    plants = all_plants(project)
    first, again, other = (choose(project, plants, {}, count=20, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len({one.place for one in first}) == 20


def test_folders_are_drawn_by_their_weights_and_the_rest_by_their_sizes(project: Path) -> None:
    plants = all_plants(project)
    assert set(plants) == {"sinks", "stream", "book", "loose"}  # the simulator is what tests are made of
    weights = weights_of(plants, {"sinks": 70.0})
    assert weights["sinks"] == 70.0
    assert weights["stream"] == weights["book"] > 14.0 > weights["loose"] > 0.0
    drawn = Counter(
        folder_of(one.module) for one in choose(project, plants, {"sinks": 70.0}, count=100, seed=1)
    )
    assert 55 < drawn["sinks"] < 85


def test_there_are_no_more_than_there_are(project: Path) -> None:
    plants = all_plants(project, ["loose"])
    assert len(choose(project, plants, {}, count=20, seed=1)) == 1


def test_a_fault_that_is_no_program_is_not_planted(project: Path) -> None:
    path = project / "collector" / "book" / "one.py"
    path.write_text("def f(x):\n    while x:\n        x = [y for y in x if y > 1]\n        continue\n")
    for one in choose(project, all_plants(project, ["book"]), {}, count=20, seed=1):
        compile(one.planted(path.read_text()), "x", "exec")


def test_each_module_has_its_folder_of_tests() -> None:
    assert (
        folder_of("collector/sinks/sql/sink.py") == folder_of_tests("collector/sinks/sql/sink.py") == "sinks"
    )
    assert folder_of("collector/query/audit/books.py") == "query"
    assert folder_of("collector/clock.py") == folder_of_tests("collector/clock.py") == "loose"
    found = {folder_of_tests(module) for module in modules(ROOT)}
    without = [tests for tests in found if not files_of_tests(ROOT, tests)]
    assert without == []
