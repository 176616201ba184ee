"""OKX v5, spot and linear perpetual swaps."""

from collector.simulator.exchanges.okx.protocol import Okx

__all__ = ["Okx"]
