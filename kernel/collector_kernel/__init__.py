"""The compiled part of market-collector. The collector's `book/kernel.py` is what imports it."""

from collector_kernel.kernel import INTERFACE, VERSION, Book, Frame

__all__ = ["INTERFACE", "VERSION", "Book", "Frame"]
