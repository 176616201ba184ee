"""An exchange and a sink of one's own, from their distribution to rows that are proven."""

import json
import sys
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from collector import DataIngestor, load_features
from collector.bot.stats import StreamStats
from collector.query.audit import run_audit
from collector.settings import load_settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1]))
from own_plugin import SINK, Installed, installed

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, wait_until

__all__ = ["installed"]
STUMBLES = """
from collector.exchanges.bybit.frames import read_frame as read

count = 0


def read_frame(text):
    global count
    count += 1
    if count % 20 == 0:
        raise KeyError("a fault of its own")
    return read(text)
"""


def collecting(simulator: Simulator, folder: Path, *names: str, **more: Any) -> DataIngestor:
    of_each = {
        f"exchanges.{name}.{key}": value
        for name in names
        for key, value in (
            ("symbols", [BTC]),
            ("channels", ["book.50", "trade"]),
            ("endpoints", simulator.endpoints("bybit")),
        )
    }
    overrides = {"database.url": str(folder / "live.db"), "writer.interval_s": 0.05, **of_each, **more}
    return DataIngestor(load_settings(overrides=overrides, environ={}, env_file=None))


def books(ingestor: DataIngestor) -> list[StreamStats]:
    return [one for one in ingestor.get_stats()["streams"] if one["channel"] == "book.50"]


def test_an_exchange_and_a_sink_of_ones_own_are_collected_as_ours_are(
    installed: Installed, tmp_path: Path
) -> None:
    installed.add_exchange("mine", "own_path")
    line = "counting = own_counts:Counting"
    installed.add("dist-counts", {"collector.sinks": line}, {"own_counts/__init__.py": SINK})
    counts = tmp_path / "counts"
    with Simulator(updates_per_s=200.0) as simulator, capture_logs() as logged:
        ingestor = collecting(simulator, tmp_path, "mine", "bybit", followers=[f"counting://{counts}"])
        assert ingestor.start(wait_for="all"), ingestor.start_failure
        simulator.faults.gap("bybit", BTC)  # of both: they share the simulated exchange
        wait_until(lambda: ingestor.get_stats()["mismatches"] >= 2, "two gaps")
        wait_until(lambda: bool(ingestor.is_healthy()), "all verified again")
        wait_until(lambda: all(one["written"] > 20 for one in books(ingestor)), "rows of both")
        assert ingestor.stop()
    report = ingestor.report
    assert report is not None
    assert report.exact
    told = [(one["group"], one["name"], one["of"]) for one in logged if one["event"] == "plugin.loaded"]
    assert told == [
        ("collector.exchanges", "mine", "dist-own_path 1.2"),
        ("collector.sinks", "counting", "dist-counts 1.2"),
    ]
    assert run_audit(str(tmp_path / "live.db")).passed
    for exchange in ("mine", "bybit"):
        assert len(load_features(tmp_path / "live.db", BTC, exchange=exchange, on_gap="mask")) > 10
    batches = [json.loads(line) for line in counts.read_text().splitlines()]
    assert sum(rows for _, _, rows in batches) > 20
    assert {table for table, _, _ in batches} == {"l2_training_data_practical"}


def test_an_exchange_of_ones_own_that_stumbles_harms_no_other(installed: Installed, tmp_path: Path) -> None:
    installed.add_exchange("bad", "own_stumbling", frames=STUMBLES)
    with Simulator(updates_per_s=200.0) as simulator:
        ingestor = collecting(simulator, tmp_path, "bad", "bybit")
        assert ingestor.start(), ingestor.start_failure

        def rejected() -> int:
            stats = ingestor.get_stats()
            return sum(one["rejected_total"] for one in (*stats["streams"], *stats["other_streams"]))

        wait_until(lambda: rejected() >= 3, "frames that it could not read")
        of_ours = [one for one in ingestor.get_stats()["streams"] if one["exchange"] == "bybit"]
        assert [(one["state"], one["gaps"]) for one in of_ours] == [("verified", 0)] * 2
        ingestor.stop()
    assert ingestor.report is not None
    assert ingestor.report.exact
