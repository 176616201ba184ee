"""Note, as a plugin of pytest, which test is running, for the measurement of lines; and what each took."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

TEST_VARIABLE = "MUTANTS_TEST"  # tells programs that a test starts whose they are
TIMES_VARIABLE = "MUTANTS_TIMES"

_took_s: dict[str, float] = {}
_not_passed: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count the lines that run from now on as the test's."""
    measuring = coverage.Coverage.current()
    os.environ[TEST_VARIABLE] = item.nodeid
    if measuring is not None:
        measuring.switch_context(item.nodeid)
    try:
        return (yield)
    finally:
        if measuring is not None:
            measuring.switch_context("")
        os.environ.pop(TEST_VARIABLE, None)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a test took, with its fixtures."""
    _took_s[report.nodeid] = _took_s.get(report.nodeid, 0.0) + report.duration
    if not report.passed:
        _not_passed.add(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a file that cannot even be read."""
    if report.failed:
        _not_passed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write it down: tests that failed or were skipped catch nothing."""
    passed = {test: took_s for test, took_s in _took_s.items() if test not in _not_passed}
    found = {"passed": passed, "not_passed": sorted(_not_passed)}
    Path(os.environ[TIMES_VARIABLE]).write_text(json.dumps(found), encoding="utf-8")
