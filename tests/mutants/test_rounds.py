"""A small project with faults planted into it: caught, survived, run by no test; and what is told of it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from planting import forks, judged, table
from planting.lines import Lines, OfFile, learn
from planting.plants import Plant, plants_of
from planting.rounds import Fate, Gardener, Result, fate_of, try_all

SOURCE = """\
LIMIT = 5


def positive(number):
    return number > 0


def nobody_asks(number):
    return number > 1


def counted(number):
    while number < LIMIT:
        number += 1
    return number
"""
TESTS = """\
from collector.thing.numbers import counted, positive

def test_positive():
    assert positive(1)
    assert not positive(-1)

def test_counted():
    assert counted(2) == 5
    assert counted(7) == 7

def test_always_fails():
    assert positive(0)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project") / "root"
    (root / "collector" / "thing").mkdir(parents=True)
    (root / "collector" / "__init__.py").write_text("")
    (root / "collector" / "thing" / "__init__.py").write_text("")
    (root / "collector" / "thing" / "numbers.py").write_text(SOURCE)
    (root / "tests" / "thing").mkdir(parents=True)
    (root / "tests" / "conftest.py").write_text("")
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\n")
    (root / "tests" / "thing" / "test_numbers.py").write_text(TESTS)
    (root / "tests" / "thing" / "test_broken.py").write_text("import nothing_of_this_name\n")
    (root / "kept").mkdir()
    return root


def plants() -> dict[tuple[str, str], Plant]:
    found = plants_of("collector/thing/numbers.py", SOURCE)
    return {(one.before, one.after): one for one in found}


@pytest.mark.proof
def test_faults_are_caught_by_tests_that_run_them_or_survive(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("coverage")
    lines = learn(project, "thing", project / "kept")
    test = "tests/thing/test_numbers.py::test_"
    assert (sorted(lines.took_s), sorted(lines.not_passed)) == (
        [f"{test}counted", f"{test}positive"],
        ["tests/thing/test_broken.py", f"{test}always_fails"],
    )
    known = plants()
    wanted = [
        known["return «number > 0»", "number >= 0"],
        known["return «number > 1»", "number >= 1"],
        known["LIMIT = «5»", "6"],
    ]
    told: list[Result] = []
    results = try_all(
        wanted,
        {"thing": lines},
        lambda number: Gardener(project, tmp_path / str(number), imported=()),
        jobs=1,
        told=told.append,
    )
    assert [(one.fate, one.detail) for one in results] == [
        (Fate.SURVIVED, "1 tests"),
        (Fate.NOT_RUN, ""),
        (Fate.CAUGHT, f"{test}counted"),
    ]
    assert told == results
    assert (project / "collector" / "thing" / "numbers.py").read_text() == SOURCE
    assert (tmp_path / "0" / "tree" / "collector" / "thing" / "numbers.py").read_text() == SOURCE


def test_a_run_that_does_not_end_is_ended(project: Path, tmp_path: Path) -> None:
    endless = plants()["«number += 1»", "pass"]
    with Gardener(project, tmp_path / "0", imported=()) as gardener:
        gardener._scratch.plant(endless)
        told = gardener._ask(["tests/thing/test_numbers.py::test_counted"], 0.5)
    assert told["code"] == forks.TIMED_OUT


@pytest.mark.parametrize(
    ("code", "failed", "clean", "fate", "detail"),
    [
        (0, "", None, Fate.SURVIVED, "2 tests"),
        (1, "t.py::a", None, Fate.CAUGHT, "t.py::a"),
        (2, "t.py", None, Fate.CAUGHT, "t.py"),
        (forks.TIMED_OUT, "", 0, Fate.CAUGHT, "ran too long"),
        (4, "", 0, Fate.CAUGHT, "the tests could not begin"),
        (-11, "", 0, Fate.CAUGHT, "the tests could not begin"),
        (forks.TIMED_OUT, "", forks.TIMED_OUT, Fate.UNDECIDED, "the machine is busier than when the tests"),
    ],
)
def test_what_did_not_come_to_an_end_is_judged_by_a_run_without_the_fault(
    code: int, failed: str, clean: int | None, fate: Fate, detail: str
) -> None:
    runs = [] if clean is None else [{"code": clean, "output": ""}]
    one = plants()["LIMIT = «5»", "6"]
    told = {"code": code, "failed": failed, "took_s": 1.0}
    result = fate_of(one, ["t.py::a", "t.py::b"], told, runs.pop)
    assert (result.fate, result.detail[: len(detail)], runs) == (fate, detail, [])


def test_tests_that_fail_without_any_fault_judge_nothing() -> None:
    told = {"code": 3, "failed": "", "took_s": 1.0}
    with pytest.raises(RuntimeError, match="no plugin"):
        fate_of(plants()["LIMIT = «5»", "6"], ["t"], told, lambda: {"code": 3, "output": "no plugin"})


def as_if_measured(_root: Path, digests: dict[str, str], _work: Path) -> dict[str, OfFile]:
    """Tell of a test a file, as if it had been run and watched."""
    return {file: OfFile(digest, {f"{file}::test": 1.5}, [], {}) for file, digest in digests.items()}


@pytest.mark.parametrize("is_measured", [False, pytest.param(True, marks=pytest.mark.proof)])
def test_what_was_measured_is_kept_until_its_sources_change(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_measured: bool
) -> None:
    if is_measured:
        pytest.importorskip("coverage")
    else:
        monkeypatch.setattr("planting.lines._measure", as_if_measured)
    before = learn(project, "thing", tmp_path)
    assert before.took_s
    measured: list[list[str]] = []
    monkeypatch.setattr(
        "planting.lines._measure", lambda _root, files, _work: measured.append(list(files)) or {}
    )
    assert learn(project, "thing", tmp_path).took_s == before.took_s
    assert measured == []
    other = project / "tests" / "thing" / "test_more.py"
    other.write_text("def test_nothing():\n    pass\n")
    learn(project, "thing", tmp_path)
    assert measured == [["tests/thing/test_more.py"]]
    other.unlink()


def test_the_quickest_tests_that_run_a_line_look_first() -> None:
    slow, quick, other = "t.py::slow", "t.py::quick", "t.py::other"
    module = "collector/thing/numbers.py"
    of_file = OfFile("", {slow: 9.0, quick: 1.0, other: 0.1}, [], {module: {"5": [0, 1], "9": [1]}})
    lines, known = Lines([of_file]), plants()
    assert lines.tests_for(known["return «number > 0»", "number >= 0"]) == [quick, slow]
    assert lines.tests_for(known["return «number > 1»", "number >= 1"]) == [quick]
    assert lines.tests_for(known["«number += 1»", "pass"]) == []
    assert lines.tests_for(known["LIMIT = «5»", "6"]) == [quick, slow, other]
    of_file.outside[module] = [9]
    assert lines.tests_for(known["return «number > 1»", "number >= 1"]) == [quick, slow, other]


def test_the_table_tells_the_share_of_what_matters() -> None:
    one = plants()["LIMIT = «5»", "6"]
    fates = [Fate.CAUGHT] * 18 + [Fate.SURVIVED, Fate.NOT_RUN, Fate.EQUIVALENT]
    results = [Result(one, fate, "because") for fate in fates]
    assert table.share_caught(results) == 0.9
    assert table.share_caught([Result(one, Fate.EQUIVALENT)]) == 1.0
    *_, of_folder, of_all, _, verdict = table.summary(results)
    assert of_folder.split() == ["thing", "21", "18", "1", "1", "1", "0"]
    assert of_all.split() == ["all", "21", "18", "1", "1", "1", "0"]
    assert verdict == "18 of 20 that matter were caught: 90.0% (at least 95% expected)"
    assert table.rows(results[:1]) == [
        "   1 caught     collector/thing/numbers.py:1 [constant]",
        "     LIMIT = «5»  ->  6",
        "     because",
    ]


def test_what_is_judged_is_found_again_and_what_is_gone_is_named(tmp_path: Path) -> None:
    known = plants()
    one = known["LIMIT = «5»", "6"]
    keys = dict(zip(judged.KEYS, one.key, strict=True))
    path = tmp_path / "equivalent.toml"

    def write(entry: dict[str, str]) -> None:
        path.write_text(
            "[[equivalent]]\n" + "".join(f"{name} = '{value}'\n" for name, value in entry.items())
        )

    write({**keys, "reason": "nobody counts"})
    found = judged.read(path)
    assert found.reason(one) == "nobody counts"
    assert found.reason(known["LIMIT = «5»", "4"]) is None
    assert found.unmatched(list(known.values())) == []
    assert found.unmatched([]) == ["collector/thing/numbers.py: LIMIT = «5»"]
    write({**keys, "reason": " "})
    with pytest.raises(ValueError, match="a reason"):
        judged.read(path)


def test_the_list_of_this_project_gives_a_reason_for_each() -> None:
    assert all(judged.read().reasons.values())
