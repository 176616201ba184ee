"""Collect books from any exchange of ccxt.pro without a folder of its own, unproven."""

from collector.exchanges.unverified.facts import CCXT_NAMES, UNVERIFIED

__all__ = ["CCXT_NAMES", "UNVERIFIED"]
