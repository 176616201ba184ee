"""Metrics go to CloudWatch while a collector runs, served or not, in a bot as well; their sums are exact."""

import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from collector.bot import create_data_ingestor
from collector.log import LogOptions, set_up_logging
from collector.serve.wiring import report_metrics
from collector.settings import load_settings
from collector.simulator import Simulator
from collector.sinks.contract import AccountingState

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import BTC, Rig, wait_until


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Let log lines go into memory, as JSON."""
    before = structlog.get_config()
    stream = io.StringIO()
    set_up_logging(LogOptions(format="json"), stream)
    yield stream
    structlog.configure(**before)


def documents(log: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if "_aws" in line]


def sums(log: io.StringIO, name: str) -> Counter[tuple[str, str, str]]:
    """Add up a counter of streams over all documents."""
    found: Counter[tuple[str, str, str]] = Counter()
    for one in documents(log):
        if name in one:
            found[one["exchange"], one["symbol"], one["channel"]] += one[name]
    return found


def of_accounting(states: Iterable[AccountingState], term: str) -> dict[tuple[str, str, str], int]:
    return {tuple(state.key): getattr(state, term) for state in states}  # type: ignore[misc]


def test_the_sums_in_the_log_are_those_of_the_accounting_though_nothing_is_served(
    tmp_path: Path, log: io.StringIO
) -> None:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=250.0) as simulator:
        options = {"mode": "log", "every_s": 0.05, "namespace": "Tried/Here", "dimensions": ["team=data"]}
        rig = Rig(
            simulator,
            str(tmp_path / "live.db"),
            [BTC],
            health__every_s=0.1,
            serve__enabled=False,
            **{f"metrics__cloudwatch__{name}": value for name, value in options.items()},
        )
        report_metrics(rig.settings, rig.collector)
        rig.collector.start()
        try:
            rig.wait_until_verified(50)
            wait_until(lambda: len(sums(log, "messages_received_total")) > 0, "metrics in the log")
        finally:
            report = rig.collector.stop()
    for term in ("received", "written", "merged"):
        assert sums(log, f"messages_{term}_total") == of_accounting(report.accounting, term)
    told = documents(log)
    assert {one["_aws"]["CloudWatchMetrics"][0]["Namespace"] for one in told} == {"Tried/Here"}
    assert {one["team"] for one in told} == {"data"}
    assert all(one["instance"] for one in told)
    commits = [one["collector_commit_seconds_count"] for one in told if "collector_commit_seconds" in one]
    assert sum(commits) == report.batches


def test_in_a_bot_as_well(tmp_path: Path, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR_METRICS__CLOUDWATCH__MODE", "log")
    with Simulator(updates_per_s=100.0) as simulator:
        ingestor = create_data_ingestor(
            {
                "exchange": "bybit",
                "symbol": BTC,
                "db_path": str(tmp_path / "live.db"),
                "write_interval": 0.1,
                "endpoints": simulator.endpoints("bybit"),
            }
        )
        assert ingestor.start(), ingestor.start_failure
        ingestor.stop()
    assert ingestor.report is not None
    assert sums(log, "messages_received_total") == of_accounting(ingestor.report.accounting, "received")


def test_nothing_is_sent_unless_it_is_asked_for(tmp_path: Path) -> None:
    with Simulator(symbols={"bybit": [BTC]}) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC])
        report_metrics(rig.settings, rig.collector)
        assert rig.collector.reporters.states() == ()
        assert load_settings(environ={}, env_file=None).metrics.cloudwatch.mode is None
