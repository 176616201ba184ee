"""Collect from Kraken: facts, topics, frames, market data, integrity rule. Pure, without ccxt."""

from collector.exchanges.kraken.facts import KRAKEN

__all__ = ["KRAKEN"]
