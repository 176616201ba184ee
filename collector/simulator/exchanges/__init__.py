"""The simulated exchanges, one folder each: protocol, frames, REST answers and recorded frames."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.simulator.exchanges.exchange import Exchange
    from collector.simulator.exchanges.registry import EXCHANGES, chosen_symbols
else:
    __getattr__, __dir__ = face(__name__, __file__)
