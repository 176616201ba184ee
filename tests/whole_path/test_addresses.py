"""Binance by an address of its own instead of a base: raw frames and wrapped ones."""

import sys
from pathlib import Path

import pytest

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import Market, Rig, stop_and_check

MARKET = Market("binance", ("BTC/USDT", "ETH/USDT"), "book.50", by_rest=True)


@pytest.mark.parametrize("path", ["/ws", "/stream"])
def test_binance_is_collected_from_either_path(tmp_path: Path, path: str) -> None:
    with Simulator(symbols={"binance": ["BTC/USDT", "ETH/USDT"]}, updates_per_s=200.0) as simulator:
        base = simulator.endpoints("binance")["ws"] + path
        rig = Rig(
            simulator, str(tmp_path / "a.db"), MARKET.symbols, MARKET, exchanges__binance__endpoints__ws=base
        )
        rig.collector.start()
        try:
            rig.wait_until_verified()
            assert {one.path for one in simulator.connections("binance")} == {path}
            stop_and_check(rig)
        finally:
            rig.collector.stop()
