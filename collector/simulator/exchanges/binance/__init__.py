"""Binance, spot and USD-M futures."""

from collector.simulator.exchanges.binance.protocol import Binance

__all__ = ["Binance"]
