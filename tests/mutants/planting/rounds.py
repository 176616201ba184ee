"""Plant one fault after the other, each alone in a copy of the tree, and let the tests look for it."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self

from planting import forks
from planting.folders import folder_of_tests
from planting.lines import Lines
from planting.plants import Plant
from planting.scratch import Scratch

MOST_TESTS_S = 120.0  # of tests a fault: the quickest that fit
SLACK_S = 60.0  # to begin, and to start a database server
SLOWER = 4.0  # a test may take so many times what it took when it was measured
PASSED, FAILED, INTERRUPTED, NO_SUCH_TEST = 0, 1, 2, 4  # pytest's exit codes


class Fate(StrEnum):
    """What became of a plant."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    NOT_RUN = "not run"  # survived: no test of the folder runs its line
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"  # the tests take too long here without any fault as well


class Result(NamedTuple):
    """One plant and what became of it."""

    plant: Plant
    fate: Fate
    detail: str = ""  # the test that caught it, or the reason why it is none
    took_s: float = 0.0


class Gardener:
    """One copy of the tree, and one process that forks for each plant."""

    def __init__(self, root: Path, folder: Path, imported: Sequence[str] = forks.IMPORTED_ONCE) -> None:
        self._root = root
        self._scratch = Scratch(root, folder)
        self._process = subprocess.Popen(
            [sys.executable, forks.__file__, *imported],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def try_one(self, plant: Plant, lines: Lines) -> Result:
        """Plant a fault, run the tests that run its line, take it out again."""
        tests = _within(lines.tests_for(plant), lines.took_s)
        if not tests:
            return Result(plant, Fate.NOT_RUN)
        budget_s = SLACK_S + SLOWER * sum(lines.took_s[test] for test in tests)
        self._scratch.plant(plant)
        try:
            told = self._ask(tests, budget_s)
            if told["code"] == NO_SUCH_TEST:  # what is planted gives the tests other names
                told = self._ask(list(dict.fromkeys(test.partition("::")[0] for test in tests)), budget_s)
        finally:
            self._scratch.restore(plant, self._root)
        return fate_of(plant, tests, told, lambda: self._ask(tests, budget_s))

    def _ask(self, tests: Sequence[str], within_s: float) -> dict[str, Any]:
        options = ["-x", "-q", "--numprocesses=0", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        asked = {
            "tree": str(self._scratch.tree),
            "temporary": str(self._scratch.temporary),
            "arguments": [*options, *tests],
            "within_s": within_s,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told


def fate_of(
    plant: Plant, tests: Sequence[str], told: Mapping[str, Any], without: Callable[[], Mapping[str, Any]]
) -> Result:
    """Say what a run of tests tells of a plant; one that came to no end is held against a clean run."""
    took_s = told["took_s"]
    if told["code"] == PASSED:
        return Result(plant, Fate.SURVIVED, f"{len(tests)} tests", took_s)
    if told["code"] in {FAILED, INTERRUPTED} and told["failed"]:
        return Result(plant, Fate.CAUGHT, told["failed"], took_s)
    clean = without()
    if clean["code"] == forks.TIMED_OUT:
        return Result(
            plant, Fate.UNDECIDED, "the machine is busier than when the tests were measured", took_s
        )
    if clean["code"] != PASSED:
        raise RuntimeError(f"the tests do not pass here, without any fault:\n{clean['output']}")
    by = "ran too long" if told["code"] == forks.TIMED_OUT else "the tests could not begin"
    return Result(plant, Fate.CAUGHT, by, took_s)


def try_all(
    plants: Sequence[Plant],
    lines: Mapping[str, Lines],
    make: Callable[[int], Gardener],
    *,
    jobs: int,
    told: Callable[[Result], None],
) -> list[Result]:
    """Try each plant, several at a time; in the order in which they were chosen."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(len(plants)):
        waiting.put(place)
    results: dict[int, Result] = {}
    failures: list[BaseException] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        try:
            with make(number) as gardener:
                while not failures:
                    place = waiting.get_nowait()
                    result = gardener.try_one(plants[place], lines[folder_of_tests(plants[place].module)])
                    with lock:
                        results[place] = result
                        told(result)
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001  (raised below, in the caller's thread)
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [results[place] for place in sorted(results)]


def _within(tests: Sequence[str], took_s: Mapping[str, float]) -> list[str]:
    """Keep the first tests, as many as fit into the time for one fault; always one."""
    kept: list[str] = []
    left_s = MOST_TESTS_S
    for test in tests:
        left_s -= took_s[test]
        if kept and left_s < 0:
            break
        kept.append(test)
    return kept
