"""Collect from Binance: facts, topics, frames, market data, integrity rule. Pure, without ccxt."""

from collector.exchanges.binance.facts import BINANCE

__all__ = ["BINANCE"]
