"""Learn once which test runs which line, so that a fault meets only tests that run it."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import coverage

from planting.folders import LOOSE, PACKAGE, TESTS, files_of_tests
from planting.plants import Plant
from planting.tracing import TEST_VARIABLE, TIMES_VARIABLE

HERE = Path(__file__).resolve().parent
MOST_S = 3600.0


@dataclass(slots=True)
class OfFile:
    """What one file of tests runs."""

    digest: str = ""
    took_s: dict[str, float] = field(default_factory=dict)  # by test; only tests that pass
    not_passed: list[str] = field(default_factory=list)  # without any fault: they catch nothing
    # By module and line: the places, in took_s, of the tests that run it.
    tests: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    outside: dict[str, list[int]] = field(default_factory=dict)  # lines that ran while no test did

    def running(self, module: str, lines: Iterable[int] | None = None) -> set[str]:
        """Name the tests that run any of these lines of a module; None: any at all."""
        names, by_line = list(self.took_s), self.tests.get(module, {})
        wanted = by_line if lines is None else [str(line) for line in lines]
        return {names[place] for line in wanted for place in by_line.get(line, ())}


class Lines:
    """What one folder of tests runs."""

    def __init__(self, files: Sequence[OfFile]) -> None:
        self._files = files
        self.took_s = {test: took_s for one in files for test, took_s in one.took_s.items()}
        self.not_passed = [test for one in files for test in one.not_passed]

    def tests_for(self, plant: Plant) -> list[str]:
        """Name the tests that run the place of a fault, the quickest first."""
        if not plant.runs_at_import and not self._ran_outside(plant):
            return self._quickest(self._running(plant.module, plant.lines))
        # Run before any test: whatever the folder tests may depend on it.
        return self._quickest(self.took_s, self._running(plant.module))

    def _ran_outside(self, plant: Plant) -> bool:
        """Say whether the place ran as well while files of tests were read: what came of it is used later."""
        lines = set(plant.lines)
        return any(not lines.isdisjoint(one.outside.get(plant.module, ())) for one in self._files)

    def _running(self, module: str, lines: Sequence[int] | None = None) -> set[str]:
        return {test for one in self._files for test in one.running(module, lines)}

    def _quickest(self, tests: Iterable[str], first: Iterable[str] = ()) -> list[str]:
        preferred = set(first)
        return sorted(tests, key=lambda test: (test not in preferred, self.took_s[test], test))


def learn(root: Path, tests: str, kept: Path) -> Lines:
    """Measure a folder's tests; what was measured of the same sources before is taken from `kept`."""
    kept = kept.resolve()  # programs that tests start elsewhere are told of it as well
    path, base = kept / f"{tests}.json", _digest(root, _beneath(root, tests))
    known: dict[str, OfFile] = {}
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["base"] == base:
            known = {file: OfFile(**one) for file, one in stored["files"].items()}
    digests = {file: _digest(root, [root / file]) for file in files_of_tests(root, tests)}
    stale = [file for file, digest in digests.items() if file not in known or known[file].digest != digest]
    if stale:
        known.update(_measure(root, {file: digests[file] for file in stale}, kept / f"{tests}-measuring"))
    known = {file: one for file, one in known.items() if file in digests}
    told = {"base": base, "files": {file: asdict(one) for file, one in known.items()}}
    path.write_text(json.dumps(told), encoding="utf-8")
    return Lines(list(known.values()))


def _measure(root: Path, digests: dict[str, str], work: Path) -> dict[str, OfFile]:
    work.mkdir(parents=True, exist_ok=True)
    for old in work.iterdir():
        old.unlink()
    settings, data, times = work / "coveragerc", work / "data", work / "times.json"
    settings.write_text(
        f"[run]\nsource = {root / PACKAGE}\ndata_file = {data}\nparallel = true\n"
        f"context = ${{{TEST_VARIABLE}-}}\n",
        encoding="utf-8",
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), str(HERE.parent)]),
        "COVERAGE_PROCESS_START": str(settings),  # programs that a test starts are measured as well
        TIMES_VARIABLE: str(times),
    }
    command = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", "-m", "pytest", *digests]
    command += ["--numprocesses=0", "-q", "-p", "no:cacheprovider", "-p", "planting.tracing"]
    command += ["--continue-on-collection-errors"]
    with (work / "output").open("w", encoding="utf-8") as output:
        done = subprocess.run(
            command, cwd=root, env=environment, stdout=output, stderr=output, timeout=MOST_S, check=False
        )
    if done.returncode not in {0, 1} or not times.exists():  # passed, or some failed: all of it ran
        raise RuntimeError(f"the tests could not be measured; see {work / 'output'}")
    told = json.loads(times.read_text(encoding="utf-8"))
    merged = coverage.Coverage(data_file=str(data), config_file=str(settings))
    merged.combine()
    found = {file: OfFile(digest) for file, digest in digests.items()}
    for test, took_s in told["passed"].items():
        found[test.partition("::")[0]].took_s[test] = took_s
    for test in told["not_passed"]:
        found[test.partition("::")[0]].not_passed.append(test)
    places = {test: place for file in found.values() for place, test in enumerate(file.took_s)}
    for module, line, test in _lines_run(root, merged.get_data()):
        if not test:
            for file in found.values():
                file.outside.setdefault(module, []).append(line)
        elif test in places:
            by_line = found[test.partition("::")[0]].tests.setdefault(module, {})
            by_line.setdefault(str(line), []).append(places[test])
    return found


def _lines_run(root: Path, data: coverage.CoverageData) -> Iterator[tuple[str, int, str]]:
    """Give each line with each test that runs it, and with "" where it ran while no test did."""
    for file in data.measured_files():
        module = Path(file).relative_to(root).as_posix()
        for line, contexts in data.contexts_by_lineno(file).items():
            # The first process tells a test, a program that the test starts tells the test and no part of it.
            for test in {part for context in contexts for part in context.split("|") if part}:
                yield module, line, test
            if "" in contexts:
                yield module, line, ""


def _beneath(root: Path, tests: str) -> list[Path]:
    """List what all tests of a folder depend on: the package, and what stands beside them and above."""
    own = root / TESTS / tests
    helpers = [] if tests == LOOSE else [one for one in own.rglob("*.py") if not one.name.startswith("test_")]
    return [*(root / PACKAGE).rglob("*.py"), root / TESTS / "conftest.py", *helpers]


def _digest(root: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
