"""Collect crypto market data that can be trusted: every update in, every hole known, every row right."""

__version__ = "0.1.0"
