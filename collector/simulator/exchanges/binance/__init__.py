"""Binance, spot and USD-M futures."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.simulator.exchanges.binance.protocol import Binance
else:
    __getattr__, __dir__ = face(__name__, __file__)
