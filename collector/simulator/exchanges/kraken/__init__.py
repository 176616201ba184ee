"""Kraken's websocket v2 and REST."""

from collector.simulator.exchanges.kraken.frames import checksum, time_text
from collector.simulator.exchanges.kraken.protocol import Kraken

__all__ = ["Kraken", "checksum", "time_text"]
