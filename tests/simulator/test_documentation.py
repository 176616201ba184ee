"""What docs/simulator.md says is there, is there, and nothing is left out."""

from __future__ import annotations

import re
from pathlib import Path

from collector.simulator import Simulator
from collector.simulator.faults.faults import fault_names

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()


def test_every_fault_is_documented_and_every_documented_fault_exists() -> None:
    table = PAGE.split("## Faults")[1].split("`drop_frame` loses")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(fault_names())


def test_documented_methods_exist() -> None:
    for name in re.findall(r"`(\w+)\(\w*\)`", PAGE):
        assert hasattr(Simulator, name) or name == "faults", name
    with Simulator(symbols={"bybit": ["BTC/USDT"]}, updates_per_s=0.0) as simulator:
        for name in re.findall(r"`truth\.(\w+)", PAGE):
            assert hasattr(simulator.truth, name), name


def test_documented_paths_answer() -> None:
    with Simulator(updates_per_s=0.0) as simulator:
        exchanges = simulator._world.exchanges
        for path in re.findall(r"`(/[\w/]+)", PAGE.split("## Paths")[1].split("## Truth")[0]):
            served = any(each.market_at(path) or path.startswith(each.rest_prefixes) for each in exchanges)
            assert served, path
