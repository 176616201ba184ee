"""Collect from Bybit: facts, topics, frames, market data, integrity rule. Pure, without ccxt."""

from collector.exchanges.bybit.facts import BYBIT

__all__ = ["BYBIT"]
