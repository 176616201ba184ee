"""OKX v5, spot and linear perpetual swaps."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.simulator.exchanges.okx.protocol import Okx
else:
    __getattr__, __dir__ = face(__name__, __file__)
