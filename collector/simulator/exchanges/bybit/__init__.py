"""Bybit v5, spot and linear."""

from collector.simulator.exchanges.bybit.protocol import Bybit

__all__ = ["Bybit"]
