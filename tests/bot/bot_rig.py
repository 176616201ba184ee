"""An ingestor on a simulator, as a bot would have it."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collector import DataIngestor, create_data_ingestor
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import wait_until

__all__ = ["wait_until"]

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
OTHERS = ("MainThread", "simulator", "execnet", "pytest", "Dummy")


_before: set[threading.Thread] = set()


def remember_threads() -> None:
    """Take the threads that run now for somebody else's, from here on."""
    _before.clear()
    _before.update(threading.enumerate())


def threads() -> list[str]:
    """Name the threads that are neither the test's nor the simulator's, nor were there before it."""
    running = (one for one in threading.enumerate() if one not in _before)
    return [one.name for one in running if not one.name.startswith(OTHERS)]


def config(simulator: Simulator, folder: Path, **more: Any) -> dict[str, Any]:
    exchange = more.get("exchange", "bybit")
    return {
        "exchange": exchange,
        "symbol": BTC,
        "db_path": str(folder / "trading_bot_live.db"),
        "write_interval": 0.1,
        "reconnect_delay": 0.05,
        "endpoints": simulator.endpoints(exchange),
        **more,
    }


@contextmanager
def running(
    folder: Path, *, updates_per_s: float = 250.0, **more: Any
) -> Iterator[tuple[DataIngestor, Simulator]]:
    with Simulator(updates_per_s=updates_per_s) as simulator:
        ingestor = create_data_ingestor(config(simulator, folder, **more))
        assert ingestor.start(), ingestor.start_failure
        try:
            yield ingestor, simulator
        finally:
            ingestor.stop()
