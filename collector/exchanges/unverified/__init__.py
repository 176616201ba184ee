"""Collect from any exchange that ccxt.pro knows and nobody wrote a folder for: its books, and no proof."""

from collector.exchanges.unverified.facts import CCXT_NAMES, UNVERIFIED

__all__ = ["CCXT_NAMES", "UNVERIFIED"]
