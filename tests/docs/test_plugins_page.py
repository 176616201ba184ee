"""docs/plugins.md runs, and its sink follows a database."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from collector import DataIngestor
from collector.exchanges.contradictions import HISTORY, WANTED
from collector.settings import load_settings
from collector.simulator import Simulator
from collector.sinks import unregister

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import BTC, wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")


def test_the_sink_of_the_page_follows_a_database(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    lines = tmp_path / "batches"
    try:
        exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), names)
        with Simulator(updates_per_s=200.0) as simulator:
            overrides = {
                "database.url": str(tmp_path / "live.db"),
                "writer.interval_s": 0.05,
                "followers": [f"lines://{lines}"],
                "exchanges.bybit.symbols": [BTC],
                "exchanges.bybit.endpoints": simulator.endpoints("bybit"),
            }
            with DataIngestor(load_settings(overrides=overrides, environ={}, env_file=None)):
                wait_until(lambda: lines.exists() and "book" in lines.read_text(), "a batch with rows")
        batches = [json.loads(line) for line in lines.read_text().splitlines()]
    finally:
        unregister("lines")
    assert sum(one["rows"].get("book", 0) for one in batches) > 0
    assert len({one["batch"] for one in batches}) == len(batches)


def test_the_page_names_every_function_that_a_package_must_have() -> None:
    for module, functions in (WANTED | HISTORY).items():
        (line,) = re.findall(rf"^my_exchange/{module}\.py +(.*)$", PAGE, re.MULTILINE)
        assert all(f"{name}(" in line for name in functions), module


def test_the_groups_of_the_page_are_those_that_are_looked_at() -> None:
    from collector import exchanges, sinks  # noqa: PLC0415

    told = re.findall(r'^\[project\.entry-points\."(.+)"\]$', PAGE, re.MULTILINE)
    assert told == [exchanges.PLUGINS.group, sinks.PLUGINS.group]
