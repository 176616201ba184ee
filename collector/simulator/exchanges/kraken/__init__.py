"""Kraken's websocket v2 and REST."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.simulator.exchanges.kraken.frames import checksum, time_text
    from collector.simulator.exchanges.kraken.protocol import Kraken
else:
    __getattr__, __dir__ = face(__name__, __file__)
