"""Bybit v5, spot and linear."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.simulator.exchanges.bybit.protocol import Bybit
else:
    __getattr__, __dir__ = face(__name__, __file__)
