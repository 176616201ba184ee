"""Collect from OKX: facts, topics, frames, market data, integrity rule. Pure, without ccxt."""

from collector.exchanges.okx.facts import OKX

__all__ = ["OKX"]
